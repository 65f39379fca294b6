"""Messages of the library, told in a shell."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import soupxr as sx
from soupxr.accessor import SoupAccessor
from soupxr.cli import main
from soupxr.cli.words import COMMANDS, MAPPINGS, OPTIONS, in_a_shell


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("Make one with soupxr.create(...).", "Make one with soupxr create."),
        ("ds.soup.trials lists those there are.", "soupxr ls lists those there are."),
        ("Pass overwrite=True to replace it.", "Give --overwrite to replace it."),
        (
            'Run ds.soup.infer(mode="slow", overwrite=True).',
            "Run soupxr infer --mode slow --overwrite.",
        ),
        (
            "ds.soup.feature_extractor.infer(mode='fast')",
            "soupxr infer --only features --mode fast",
        ),
        (
            "Add labels with ds.soup.annotate(…, annotator=…).",
            "Add labels with soupxr import labels --annotator ….",
        ),
        ("Pass password=…, or leave it.", "Give --password …, or leave it."),
        (
            "/data/ds.soup.trial and sx.io.boris.read(…) stay",
            "/data/ds.soup.trial and sx.io.boris.read(…) stay",
        ),
        ("Pass columns={'trial': ...}.", "Give --column trial=…."),
        ("pass behaviors={'hand open': None}", "give --behavior 'hand open'="),
        (
            "Pass behaviors={'sup': ours}, or missing=\"leave\".",
            "Give --behavior sup=ours, or --missing leave.",
        ),
        (
            'Pass trials={\'a.mp4\': "animal/session/trial_id"}, or missing="leave".',
            "Give --trials PATTERN, or --missing leave.",
        ),
        (
            'Pass annotator= or columns={"annotator": ...}.',
            "Give --annotator or --column annotator=….",
        ),
        (
            'no whole frame (for seconds, pass unit="second")',
            "no whole frame (for seconds, give --unit second)",
        ),
        (
            "Select one: ds.sel(animal=..., session=..., trial_id=...).",
            "Select one: --animal, --session and --trial.",
        ),
        (
            "is complete meanwhile; pass overwrite=True to redo it",
            "is complete meanwhile; give --overwrite to redo it",
        ),
        (
            'Train with folds=5, or pass on="all" to fit.',
            "Train with --folds 5, or give --on all to fit.",
        ),
        # A command that says less would do something else.
        ("Run ds.soup.infer('medium') first.", "Run ds.soup.infer('medium') first."),
        (
            "Make one: soupxr.create(…, views=['joined']).",
            "Make one: soupxr create --view joined.",
        ),
        (
            "Make one: soupxr.create(…, views=['side', 'front']).",
            "Make one: soupxr.create(…, views=['side', 'front']).",
        ),
    ],
)
def test_calls_become_commands(told, said):
    assert in_a_shell(told) == said


def test_what_becomes_a_command_is_one_and_was_a_call():
    for call, command in COMMANDS.items():
        first, *_ = call.split(".")
        assert hasattr(SoupAccessor, first) or hasattr(sx, first), call
        arguments = [*command.split()[1:], "--help"]
        assert CliRunner().invoke(main, arguments).exit_code == 0, command


def _options(command):
    """Options of a command and of those below it."""
    for parameter in command.params:
        yield from parameter.opts
    for below in getattr(command, "commands", {}).values():
        yield from _options(below)


def test_options_are_those_of_commands():
    told = {f"--{name}" for name in (*OPTIONS.values(), *MAPPINGS.values())}
    assert told <= set(_options(main))


def test_an_error_names_the_option(soupxr, tmp_path):
    (tmp_path / "videos").mkdir()
    make = ("create", tmp_path / "reach.zarr", "--data-root", tmp_path / "videos")
    soupxr(*make)
    said = soupxr(*make, code=1).output
    assert "Open it with soupxr ls" in said
    assert "soupxr.open" not in said
