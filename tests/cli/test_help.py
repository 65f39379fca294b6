"""Help that can be followed: every command has examples, and they are right."""

from __future__ import annotations

import shlex

import click
import pytest
from click.testing import CliRunner

from soupxr import __version__
from soupxr.cli import main
from soupxr.cli.base import Command

COMMANDS = [
    "create",
    "add",
    "remove",
    "ls",
    "check",
    "infer",
    "train",
    "evaluate",
    "thresholds",
    "view",
    "import",
    "export",
    "demo",
]


def all_commands(group=main, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from all_commands(command, (*path, name))
        else:
            yield (*path, name), command


def all_examples():
    groups = [main, *(c for c in main.commands.values() if isinstance(c, click.Group))]
    for command in (*groups, *(command for _, command in all_commands())):
        yield from command.examples


def test_these_commands_are_there():
    assert list(main.commands) == COMMANDS


@pytest.mark.parametrize("path", [path for path, _ in all_commands()], ids=" ".join)
def test_help_says_what_it_does_and_shows_an_example(path):
    result = CliRunner().invoke(main, [*path, "--help"], prog_name="soupxr")
    assert result.exit_code == 0
    about, _, rest = result.output.partition("Options:")
    assert len(about.splitlines()) > 2
    assert f"  soupxr {' '.join(path)} " in rest.partition("Example")[2]
    undocumented = [
        option.name
        for _, command in all_commands()
        for option in command.params
        if isinstance(option, click.Option) and not option.help
    ]
    assert undocumented == []


#: Files that examples name.
FILES = ["bouts.csv", "scores.xlsx", "project.boris", "events.tsv", "dataframe.hdf"]
FILES += ["scores_Grab.mat"]


@pytest.mark.parametrize("example", dict.fromkeys(all_examples()))
def test_examples_can_be_typed(example, tmp_path, monkeypatch):
    """All that is parsed is; nothing runs."""
    monkeypatch.chdir(tmp_path)
    for folder in ("reach.zarr", "videos", "my_project_deepethogram"):
        (tmp_path / folder).mkdir()
    (tmp_path / "reach.zarr/zarr.json").touch()
    for file in FILES:
        (tmp_path / file).touch()
    ran = []
    monkeypatch.setattr(Command, "invoke", lambda self, ctx: ran.append(self.name))
    program, *arguments = shlex.split(example.partition(" > ")[0])
    result = CliRunner().invoke(main, arguments)
    assert program == "soupxr"
    assert result.exit_code == 0, result.output
    assert ran


def test_the_version_is_told():
    assert CliRunner().invoke(main, ["--version"]).output.strip().endswith(__version__)
