"""Training and creating beside whatever else may be at work on the same folder or store."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import training_runs as runs
from faults import learning
from faults.checker import assert_told, holdings
from processes import PROCESSES

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.store import (
    FittedDecision,
    Overtaken,
    Store,
    TrialResults,
    models,
    set_decision,
    write_annotations,
)
from soupxr.store.leases import Lease, take
from soupxr.training.runfolder import RunFolder

SECONDS = 250
THOROUGH = pytest.mark.thorough


@pytest.fixture
def lab(untrained, tmp_path) -> Path:
    return Path(shutil.copytree(untrained, tmp_path / "lab"))


def both(act: Any, *arguments: Any) -> list[str]:
    """Let two processes do something at the same moment; what each was told, "" for nothing."""
    barrier = PROCESSES.Barrier(2)
    pipes = [PROCESSES.Pipe(duplex=False) for _ in range(2)]
    two = [
        PROCESSES.Process(target=_tell, args=(end, act, who, barrier, *arguments))
        for who, (_, end) in enumerate(pipes)
    ]
    for process in two:
        process.start()
    for process in two:
        process.join(SECONDS)
    assert [process.exitcode for process in two] == [0, 0]
    return [heard.recv() for heard, _ in pipes]


def _tell(end: Any, act: Any, who: int, barrier: Any, *arguments: Any) -> None:
    sx.set_options(progress=False)
    try:
        act(who, barrier, *arguments)
    except sx.SoupError as error:
        end.send(f"{type(error).__name__}: {error}")
    else:
        end.send("")


# ------------------------------------------------------------------ two that create

BEHAVIORS = (("lift", "grab"), ("chew", "sniff", "rest"))


def _create(who: int, barrier: Any, folder: Path) -> None:
    from soupxr.store import creation

    make, rename = creation._fill, creation.os.rename

    def fill(*arguments: Any) -> None:
        barrier.wait(SECONDS)  # both have seen that nothing is there
        make(*arguments)

    def put_in_place(*arguments: Any) -> None:
        barrier.wait(SECONDS)  # both have made one
        rename(*arguments)

    creation._fill, creation.os.rename = fill, put_in_place
    sx.create(folder / "reach.zarr", folder / "videos", behaviors=BEHAVIORS[who])


def test_two_create_the_same(tmp_path):
    """One makes it, whole; the other is told, and leaves nothing behind."""
    (tmp_path / "videos").mkdir()
    told = both(_create, tmp_path)
    (loser,) = (who for who, text in enumerate(told) if text)
    assert told[loser].startswith("StoreError: ")
    assert "another process made a store here meanwhile" in told[loser]
    ds = sx.open(tmp_path / "reach.zarr")
    assert tuple(ds.behavior.values) == BEHAVIORS[1 - loser]
    holdings(tmp_path / "reach.zarr")
    assert not ds.soup.check().found
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reach.zarr", "videos"]


# ------------------------------------------------------------------ two that train into one folder


def _train(who: int, barrier: Any, folder: Path, resume: bool) -> None:
    open_folder = RunFolder.open

    def then_wait(*arguments: Any, **options: Any) -> RunFolder:
        found = open_folder(*arguments, **options)
        barrier.wait(SECONDS)  # both have seen that nobody has begun
        return found

    RunFolder.open = then_wait  # type: ignore[method-assign]
    learning.train(folder, resume=resume)


@THOROUGH
@pytest.mark.parametrize("resume", [False, True])
def test_two_train_into_one_folder(resume, lab, untrained, tmp_path):
    alone = Path(shutil.copytree(untrained, tmp_path / "alone"))
    learning.train(alone)
    told = both(_train, lab, resume)
    assert sorted(map(bool, told)) == [False, True], told
    assert_told(RuntimeError(max(told)), "ArgumentError: model_out: expected a folder of this call")
    assert_told(RuntimeError(max(told)), "Another process")
    learning.assert_readable(lab)
    assert learning.is_finished(lab)
    runs.assert_equal_runs(lab / "run", alone / "run")
    assert len(models(Store(str(lab / "reach.zarr")))) == 1


@pytest.mark.parametrize("resume", [False, True])
def test_another_trains_in_the_middle_of_a_run(resume, lab, monkeypatch):
    """It is refused, and the run goes on as if nothing had been."""
    told = []
    with in_the_middle(monkeypatch, lambda: told.append(refusal(lab, resume))):
        learning.train(lab)
    (text,) = told
    assert text.startswith("model_out: ")
    assert "Another process is training" in text if resume else "an interrupted run" in text
    learning.assert_readable(lab)
    assert learning.is_finished(lab)
    learning.train(lab, resume=True)


def refusal(lab: Path, resume: bool) -> str:
    with pytest.raises(sx.ArgumentError) as refused:
        learning.train(lab, resume=resume)
    return str(refused.value)


def test_a_run_is_begun_and_ended_between_looking_and_beginning(tmp_path):
    folder = RunFolder.open(tmp_path / "run", resume=False)
    other = RunFolder.open(tmp_path / "run", resume=False)
    facts = {"kind": "sequence", "mode": "fast", "arguments": {}, "split": {}, "inputs": {}}
    with other.taken():
        other.begin(facts)
        other.finish("num_epochs")
    before = (tmp_path / "run" / "run.json").read_text()
    with pytest.raises(sx.ArgumentError, match="began or went on with a run in it"), folder.taken():
        folder.begin(facts)
    assert (tmp_path / "run" / "run.json").read_text() == before


def test_a_folder_that_was_taken_for_nothing_is_not_left(tmp_path):
    folder = RunFolder.open(tmp_path / "run", resume=False)
    with pytest.raises(ZeroDivisionError), folder.taken():
        1 / 0  # noqa: B018
    assert not (tmp_path / "run").exists()
    RunFolder.open(tmp_path / "run", resume=False)


@contextlib.contextmanager
def in_the_middle(monkeypatch, act):
    """Do something once, in the first epoch of a run: all is read again in the second."""
    from soupxr.training.tasks import Task

    step, done = Task.training_step, []

    def acting(task, batch, index):
        if not done:
            done.append(True)
            act()
        return step(task, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(Task, "training_step", acting)
        yield
    assert done, "the run never came so far"


# ------------------------------------------------------------------ beside what else there is

VICTIM = learning.KEYS[0]


def removes(folder: Path) -> None:
    sx.open(folder / "reach.zarr").soup.remove_item("M1", "S1", 1)


def replaces(folder: Path) -> None:
    """Another trial takes the room of one that was removed."""
    removes(folder)
    ds = sx.open(folder / "reach.zarr").soup.add_item("M1", "S1", 1)
    assert ds.sizes["trial"] == len(learning.KEYS)


def annotates(folder: Path) -> None:
    masks = {key: 1 - runs.truth(seed=seed) for seed, key in enumerate(learning.KEYS)}
    write_annotations(str(folder / "reach.zarr"), "human", masks, overwrite=True)


def infers(folder: Path) -> None:
    """Make the features anew, under a lease."""
    for key in learning.KEYS:
        with contextlib.suppress(Overtaken):
            lease = take(str(folder / "reach.zarr"), f"fast of {key}")
            if isinstance(lease, Lease):
                with lease:
                    ds = sx.open(folder / "reach.zarr")
                    runs.put_features(ds, keys=(key,), model="e" * 64)


def begins_to_infer(folder: Path) -> None:
    """The same, killed before the first block is there."""
    store = store_of(sx.open(folder / "reach.zarr"))
    for key in learning.KEYS:
        TrialResults(store, "fast", key).start_features(json.dumps({"claim": key}))


def decides(folder: Path) -> None:
    values = dict.fromkeys(runs.BEHAVIORS, 0.4)
    fitted = FittedDecision("a" * 64, values, dict.fromkeys(values, 3), "human", "all", "now")
    set_decision(str(folder / "reach.zarr"), "fast", fitted)


ACTS = {a.__name__: a for a in (removes, replaces, annotates, infers, begins_to_infer, decides)}
#: What may be told of each, where features are read while they are learnt from.
TOLD = {
    "removes": f"{VICTIM}: this trial is not in",
    "replaces": f"{VICTIM}: the trial was removed and added again",
    "infers": "its features are made anew while they are learnt from",
    "begins_to_infer": "its features are made anew while they are learnt from",
}
TOLD_AT_THE_START = (
    "expected at least 3 to learn from and validate on, but got '2: M1/S1/2, M2/S1/1'",
    "have features of another model or other settings",
    "labelled trial(s) have none in mode 'fast'",
)


def _beside(who: int, barrier: Any, folder: Path, name: str) -> None:
    barrier.wait(SECONDS)
    if who:
        ACTS[name](folder)
    else:
        learning.train(folder)


@THOROUGH
@pytest.mark.parametrize("name", ACTS)
def test_something_else_at_the_same_time(name, lab):
    told, other = both(_beside, lab, name)
    assert not other
    check(lab, name)
    if told:
        # Two are too few to learn from, where it began after one was gone.
        assert_told(RuntimeError(told), *TOLD.values(), *TOLD_AT_THE_START)
    else:
        assert learning.is_finished(lab)
    learning.assert_readable(lab)
    assert len(models(Store(str(lab / "reach.zarr")))) == (not told)


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "from the store"])
@pytest.mark.parametrize("name", ACTS)
def test_something_else_in_the_middle_of_a_run(name, in_memory, lab, monkeypatch):
    """What is in memory is learnt from to the end; what is read on the way is never mixed."""
    if not in_memory:
        monkeypatch.setattr("soupxr.training.features.MEMORY_BYTES", 0)
    expected = TOLD.get(name) if not in_memory else None
    with in_the_middle(monkeypatch, lambda: ACTS[name](lab)):
        if expected is None:
            learning.train(lab)
        else:
            with pytest.raises(sx.StoreError) as refused:
                learning.train(lab)
            assert_told(refused.value, expected)
    check(lab, name)
    learning.assert_readable(lab)
    assert learning.is_finished(lab) is (expected is None)
    assert len(models(Store(str(lab / "reach.zarr")))) == (expected is None)


def check(lab: Path, name: str) -> None:
    """What the other did is there, and what it did not touch."""
    found = holdings(lab / "reach.zarr")
    gone = {VICTIM} if name == "removes" else set()
    assert set(found.trials) == set(learning.KEYS) - gone
    for seed, key in enumerate(learning.KEYS):
        if key != VICTIM or name not in ("removes", "replaces"):
            mask = runs.truth(seed=seed)
            wanted = 1 - mask if name == "annotates" else mask
            np.testing.assert_array_equal(found.labels["human", key][: len(mask)], wanted)
            assert (("fast", key) in found.features) is (name != "begins_to_infer")
    assert set(found.decisions) == ({"fast"} if name == "decides" else set())
