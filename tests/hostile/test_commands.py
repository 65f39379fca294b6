"""Every command of the command line, with arguments that nobody should type."""

from __future__ import annotations

import random
import warnings
from pathlib import Path
from typing import Any

import click
import pytest
from hostile.cage import Case, failures, try_all

#: Command lines tried in every run, and in a thorough one.
FEW, MANY = 60, 400

ODD = [
    "", " ", "-1", "0", "1", "3-1", "1-99999999999999999999", "9" * 30, "9" * 5000, "1e999", "nan",
    "inf", "-inf", "0x0", "1x", "9" * 5000 + "x1", "a=b", "=", "==", "lift=", "lift=nan",
    "../x", "/etc/passwd", "/etc", ".", "..", "a/b", "a\\b", "C:\\x", "-", "--", "--help",
    "--debug", "-rf", "~", "~root", "x" * 300, "x" * 20_000, "é" * 200, "\ud800", "\u202e",
    "a\nb", "*",
    "$(touch ran)", "`touch ran`", "; touch ran", "| touch ran", "&& touch ran", "%s", "{x}", "٣",
    "(", "(?P<animal>.)", "(a+)+$", "s3://", "file:///etc",
    "memory://x", "nosuch://x/",
    "fast", "all", "auto", "trial", "M1", "S1", "Ana", "cuda:99", "0,1", "1,2,3/0,0,0", "tcp://:0",
    "reach.zarr", "none.zarr", "bouts.csv", "out.csv", "out.boris", "new.zarr",
]  # fmt: skip


def paths_of(command: click.Command, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Words of every command and subcommand."""
    if not isinstance(command, click.Group):
        return [before]
    below = [paths_of(one, (*before, name)) for name, one in command.commands.items()]
    return [before, *sum(below, [])]  # noqa: RUF017


def _line(chance: random.Random, main: click.Group, path: tuple[str, ...]) -> list[str]:
    command: Any = main
    for word in path:
        command = command.commands[word]
    words = list(path)
    for one in command.params:
        if isinstance(one, click.Argument):
            if chance.random() < 0.9:
                is_store = one.name == "store" and chance.random() < 0.8
                words.append("reach.zarr" if is_store else chance.choice(ODD))
        elif one.required or chance.random() < 0.2:
            words.append(chance.choice([*one.opts, *one.secondary_opts]))
            if not one.is_flag:
                choices = list(getattr(one.type, "choices", ()))
                words.append(chance.choice(choices if choices and chance.random() < 0.5 else ODD))
    if chance.random() < 0.2:
        words.insert(chance.randrange(len(words) + 1), chance.choice(ODD))
    return [word for word in words if "\0" not in word]


def command_line(content: tuple[str, list[str]], folder: Path) -> None:
    """Run a command in a folder that has a store; what would run for long is only begun."""
    import os
    import shutil

    from click.testing import CliRunner

    from soupxr.cli import main

    good, words = content
    _stub()
    place = folder / "place"
    if not place.exists():
        shutil.copytree(good, place)
    before = {path.name for path in folder.iterdir()}
    os.chdir(place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(main, words, input="")
    told = result.output.encode(errors="backslashreplace").decode()
    assert result.exit_code in (0, 1, 2), (words, result.exit_code, told[-2000:])
    assert "this was not expected" not in told, told[-2000:]
    assert "--debug" in words or "Traceback (most recent" not in told, told[-3000:]
    assert {path.name for path in folder.iterdir()} == before
    assert not list(folder.rglob("ran"))
    if not (place / "reach.zarr" / "zarr.json").exists() or len(list(place.iterdir())) > 12:
        shutil.rmtree(place)


def _stub() -> None:
    import soupxr.demo
    from soupxr import stages
    from soupxr.accessor import SoupAccessor
    from soupxr.dashboard.viewer import Viewer
    from soupxr.errors import TrainingError

    def refuse(*_: object, **__: object) -> None:
        raise TrainingError("nothing is trained here")

    soupxr.demo.run = lambda *_, **__: None
    Viewer.show = lambda *_, **__: None  # type: ignore[method-assign]
    SoupAccessor.infer = lambda self, *_, **__: self._ds  # type: ignore[method-assign]
    for stage in (stages.FlowGenerator, stages.FeatureExtractor, stages.SequenceModel):
        stage.train = refuse  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    import soupxr as sx
    from soupxr.ingest import TrialRow
    from soupxr.store import add_trials

    folder = tmp_path_factory.mktemp("commands") / "place"
    (folder / "videos").mkdir(parents=True)
    ds = sx.create(folder / "reach.zarr", folder / "videos")
    rows = [TrialRow("M1", "S1", n, ("a.mp4", "b.mp4"), 20, 100.0) for n in (1, 2)]
    add_trials(ds.attrs["soupxr_store"], rows)
    head = "animal,session,trial_id,behavior,start,stop\n"
    (folder / "bouts.csv").write_text(head + "M1,S1,1,lift,2,9\n")
    return folder


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.thorough)])
def test_odd_arguments_of_every_command_end_in_words(count, place, seeds, tmp_path):
    from soupxr.cli import main

    paths = paths_of(main)
    assert ("import", "boris") in paths

    def cases():
        for seed in seeds(0.1, count) if count == MANY else range(count):
            words = _line(random.Random(seed), main, paths[seed % len(paths)])
            yield Case(f"seed {seed}: {str(words)[:300]!r}", (str(place), words))

    outcomes = try_all("every command", command_line, cases(), tmp_path)
    assert not failures(outcomes)
