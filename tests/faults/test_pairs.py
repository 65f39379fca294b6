"""Two processes that write at the same time, every pair of calls; and one inside the other."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import calls, inferring
from faults.checker import Holdings, assert_told, holdings
from processes import PROCESSES, at_write
from results import probabilities, put_result

import soupxr as sx
from soupxr.check import check_store
from soupxr.evaluation import inforce
from soupxr.modes import BEHAVIORS
from soupxr.schema import replacement_variables
from soupxr.store import (
    FittedDecision,
    Overtaken,
    Store,
    add_trials,
    correct_trial,
    fitted_decision,
    require_group,
    set_decision,
    write_annotations,
)
from soupxr.store.leases import Lease, take
from soupxr.store.replacement import replacement_path

KEY = "M1/S1/1"
TIMES = 4
SECONDS = 250


# ------------------------------------------------------------------ what each of two does


def adds(folder: Path, who: int) -> None:
    for number in range(TIMES):
        key = f"N{who}/S1/{number}"
        add_trials(calls.address_of(folder), calls.rows(key, n_frames=1000 + 100 * number))


def removes(folder: Path, who: int) -> None:
    sx.open(folder / "reach.zarr").soup.remove_item("M1", "S1", 1 + who)


def annotates(folder: Path, who: int) -> None:
    for number in range(TIMES):
        masks = {key: calls.labelled(key, 50 + who + number) for key in calls.KEYS[2:]}
        write_annotations(calls.address_of(folder), f"Pia {who}", masks, overwrite=True)


def annotates_as_one(folder: Path, who: int) -> None:
    """Both under one name, of the same trials."""
    for number in range(TIMES):
        masks = {calls.KEYS[2]: calls.labelled(calls.KEYS[2], 50 + who + number)}
        write_annotations(calls.address_of(folder), "Ana", masks, overwrite=True)


def infers(folder: Path, who: int) -> None:
    """As inference: under a lease, and whoever does not get it leaves the trial alone."""
    for key in calls.KEYS:
        try:
            lease = take(calls.address_of(folder), f"fast of {key}")
            if isinstance(lease, Lease):
                with lease:
                    if key != calls.KEYS[3]:
                        calls.write_result(folder, key, calls.NEW_MODEL, 60 + who)
                    else:  # its video is replaced: features of the old one are vouched for
                        probability = probabilities(calls.labelled(key), who)
                        put_result(sx.open(folder / "reach.zarr"), key, probability)
        except Overtaken:
            pass
        except sx.StoreError as error:
            assert_told(error, "was it removed?")


def decides(folder: Path, who: int) -> None:
    ds = sx.open(folder / "reach.zarr")
    values = dict.fromkeys(map(str, ds.behavior.values), 0.3 + 0.1 * who)
    bouts = dict.fromkeys(values, 3)
    fitted = FittedDecision(calls.MODEL, values, bouts, "Ana", "all", f"{who}")
    set_decision(calls.address_of(folder), "fast", fitted)
    store = Store(calls.address_of(folder))
    results = inforce.results_of(store, "fast", store.trials(store.keys())).values()
    inforce.put_into_force(store.address, "fast", fitted, results, dry_run=False)


def corrects(folder: Path, who: int) -> None:
    for number in range(TIMES):
        correct_trial(calls.address_of(folder), calls.KEYS[3], 1100 + who + 10 * number, 500.0)


def imports(folder: Path, who: int) -> None:
    """A table of another program: labels, anew and again."""
    for number in range(TIMES):
        rows = [f"{key},grab,{10 + who},{20 + number}" for key in calls.KEYS[2:]]
        table = folder / f"table {who}.csv"
        table.write_text("\n".join(["trial,behavior,start,stop", *rows]))
        sx.io.tables.read(
            sx.open(folder / "reach.zarr"),
            table,
            annotator=f"Imp {who}",
            unit="frame",
            missing="leave",
            overwrite=True,
        )


def repairs(folder: Path, who: int) -> None:
    """Whatever it finds half written belongs to a writer that is at work."""
    for _ in range(TIMES):
        check_store(calls.address_of(folder), repair=True, videos=False, progress=False)


WHO = (adds, removes, annotates, infers, decides, corrects, imports, repairs)
ACTS = {act.__name__: act for act in WHO}
PAIRS = [*itertools.combinations_with_replacement(ACTS, 2), ("annotates_as_one",) * 2]
#: By default, those of the two that write the same things; all of them in a thorough run.
CLOSE = {
    ("adds", "adds"),
    ("adds", "removes"),
    ("adds", "annotates"),
    ("annotates_as_one", "annotates_as_one"),
    ("infers", "infers"),
    ("infers", "decides"),
    ("infers", "corrects"),
    ("removes", "infers"),
    ("infers", "repairs"),
}


def _act(name: str, folder: Path, who: int, barrier: Any) -> None:
    import warnings

    warnings.simplefilter("ignore", sx.SoupWarning)  # of ethograms that another is at work on
    sx.set_options(progress=False)
    barrier.wait(SECONDS)
    try:
        globals()[name](folder, who)
    except sx.StoreError as error:
        # What the other has taken away may be told; nothing else.
        assert_told(error, "was it removed?", "video replaced")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(
            *pair, marks=[] if pair in CLOSE else pytest.mark.thorough, id=" & ".join(pair)
        )
        for pair in PAIRS
    ],
)
def test_two_at_once(first, second, lab_of_four):
    before = holdings(lab_of_four / "reach.zarr")
    barrier = PROCESSES.Barrier(2)
    two = [
        PROCESSES.Process(target=_act, args=(name, lab_of_four, who, barrier))
        for who, name in enumerate((first, second))
    ]
    for process in two:
        process.start()
    for process in two:
        process.join(SECONDS)
    assert [process.exitcode for process in two] == [0, 0]
    found = holdings(lab_of_four / "reach.zarr")
    assert not found.deciding
    for who, name in enumerate((first, second)):
        CHECKS.get(name, lambda *_: None)(found, who)
    untouched = set(before.trials) - _removed(first, second)
    assert untouched <= set(found.trials)
    for place in before.labels:
        if place[1] in untouched and place != ("Ana", calls.KEYS[2]):
            n_frames = len(before.labels[place])
            np.testing.assert_array_equal(found.labels[place][:n_frames], before.labels[place])
    if "corrects" not in (first, second):
        kept = {place for place in before.results if place[1] in untouched}
        assert kept <= set(found.results)


def _removed(*names: str) -> set[str]:
    return {calls.KEYS[who] for who, name in enumerate(names) if name == "removes"}


def _added(found: Holdings, who: int) -> None:
    wanted = {f"N{who}/S1/{number}": 1000 + 100 * number for number in range(TIMES)}
    assert {key: found.trials[key][0] for key in wanted} == wanted


def _is_removed(found: Holdings, who: int) -> None:
    assert calls.KEYS[who] not in found.trials


def _annotated(found: Holdings, who: int) -> None:
    if found.trials[calls.KEYS[3]][0] != calls.LONG:
        return  # refused, for its video was replaced meanwhile; or of the old one
    for key in calls.KEYS[2:]:
        labels = calls.labelled(key, 50 + who + TIMES - 1)
        np.testing.assert_array_equal(found.labels[f"Pia {who}", key][: calls.LONG], labels)


def _annotated_as_one(found: Holdings, who: int) -> None:
    key = calls.KEYS[2]
    last = [calls.labelled(key, 50 + one + TIMES - 1) for one in (0, 1)]
    labels = found.labels["Ana", key][: calls.LONG]
    assert any(np.array_equal(labels, one) for one in last), "labels of two calls are mixed"


def _imported(found: Holdings, who: int) -> None:
    """One table, whole; an import that finds a trial of its selection removed is refused."""
    masks = [found.labels.get((f"Imp {who}", key)) for key in calls.KEYS[2:]]
    if found.trials[calls.KEYS[3]][0] != calls.LONG or all(mask is None for mask in masks):
        return  # refused, for its video was replaced meanwhile, or of the old one
    grabs = [np.flatnonzero(mask[:, BEHAVIORS.index("grab")] == 1).tolist() for mask in masks]
    right = [list(range(10 + who, 20 + number)) for number in range(TIMES)]
    assert grabs in [[one, one] for one in right]


CHECKS = {
    "adds": _added,
    "removes": _is_removed,
    "annotates": _annotated,
    "annotates_as_one": _annotated_as_one,
    "imports": _imported,
}


# ------------------------------------------------------------------ one inside the other


@pytest.mark.parametrize("number", range(1, 8))
def test_a_video_is_replaced_in_the_middle_of_a_commit(number, lab_of_four, monkeypatch):
    """Never is a result shown that is as long as the other video."""
    from soupxr.store import results

    address, length = calls.address_of(lab_of_four), 40
    with monkeypatch.context() as patch:
        patch.setattr(
            results,
            "write",
            at_write(results, number, lambda: correct_trial(address, KEY, length, 500.0)),
        )
        try:
            put_result(sx.open(address), KEY, probabilities(calls.labelled(KEY), 3))
        except sx.StoreError as error:
            assert_told(error, "video was replaced")
    found = holdings(address)
    assert found.trials[KEY][0] in (length, calls.LONG)
    assert ("fast", KEY) not in found.results or found.trials[KEY][0] == calls.LONG


@pytest.mark.parametrize("number", [1, 2, 4, 6, 10, 20, 23, 24, 26, 27, 29, 30])
def test_a_commit_in_the_middle_of_a_replacement(number, lab_of_four, monkeypatch):
    from soupxr.store import membership

    address, length = calls.address_of(lab_of_four), 40
    probability = probabilities(calls.labelled(KEY), 3)
    # It is made by one process at a time, and here one is at work.
    require_group(address, replacement_path("fast"), replacement_variables())

    def commit() -> None:
        with contextlib.suppress(Overtaken):
            put_result(sx.open(address), KEY, probability[: Store(address).trial(KEY).n_frames])

    with monkeypatch.context() as patch:
        patch.setattr(membership, "write", at_write(membership, number, commit))
        correct_trial(address, KEY, length, 500.0)
    found = holdings(address)
    assert found.trials[KEY][0] == length
    assert len(found.results.get(("fast", KEY), {"probability": range(length)})["probability"]) == (
        length
    )


@pytest.mark.parametrize("number", range(1, 5))
def test_inference_in_the_middle_of_new_thresholds(number, lab_of_four, monkeypatch):
    """It does not get the trial while its ethogram is decided anew."""
    from soupxr.store import results

    address, got = calls.address_of(lab_of_four), []

    def infer() -> None:
        lease = take(address, f"fast of {KEY}")
        got.append(isinstance(lease, Lease))
        if isinstance(lease, Lease):
            lease.release()

    with monkeypatch.context() as patch:
        patch.setattr(results, "write", at_write(results, number, infer))
        decides(lab_of_four, 0)
    assert got == [False]
    found = holdings(address)
    assert json.loads(found.results["fast", KEY]["identity"])["thresholds"]["lift"] == 0.3
    assert fitted_decision(Store(address), "fast") is not None


def test_new_thresholds_wait_for_whoever_is_at_work_and_say_so(lab_of_four, monkeypatch):
    monkeypatch.setattr(inforce, "WAIT_S", 0.0)
    address = calls.address_of(lab_of_four)
    before = holdings(address)
    with take(address, f"fast of {KEY}"), pytest.warns(sx.SoupWarning, match=f"{KEY}: .*at work"):
        decides(lab_of_four, 0)
    found = holdings(address)
    assert found.results["fast", KEY]["identity"] == before.results["fast", KEY]["identity"]
    other = ("fast", calls.KEYS[1])
    assert found.results[other]["identity"] != before.results[other]["identity"]
    decides(lab_of_four, 0)
    assert "0.3" in holdings(address).results["fast", KEY]["identity"]


@pytest.fixture
def inferred(tmp_path, film, models, monkeypatch) -> Path:
    """Two trials with results; neither features nor videos are there any more."""
    from soupxr.inference import trial

    for name in ("_engine", "_sequence_model", "class_probabilities"):
        monkeypatch.setattr(trial, name, getattr(trial, name))
    lab = tmp_path / "lab"
    inferring.make_lab(lab, film)
    inferring.keep_tasks(lab, models(), features="none")
    inferring.infer_quickly(lab)
    shutil.rmtree(lab / "videos")
    return lab


def test_what_died_while_it_decided_is_finished_by_inference(inferred, monkeypatch):
    """Without a look at the video, even where no features were kept."""
    from soupxr.store import TrialResults, results

    lab, key = inferred, inferring.TRIALS[0]
    before = holdings(lab / "reach.zarr")
    writer = TrialResults(Store(str(lab / "reach.zarr")), "fast", key)

    def die() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(results, "write", at_write(results, 3, die))
        with pytest.raises(KeyboardInterrupt):
            writer.decide_anew(np.ones((inferring.FRAMES, 6), np.int8), writer.provenance)
    assert ("fast", key) in holdings(lab / "reach.zarr").deciding
    assert sx.open(lab / "reach.zarr").soup.trials.fast.tolist() == ["deciding", "complete"]
    assert [outcome.error for outcome in inferring.outcomes(lab)] == [None, None]
    found = holdings(lab / "reach.zarr")
    for place, result in before.results.items():
        np.testing.assert_array_equal(found.results[place]["ethogram"], result["ethogram"])


def test_what_died_while_it_replaced_is_finished_by_inference(inferred, monkeypatch):
    """With the new result, which was whole, and without a look at the video."""
    from soupxr.store import TrialResults

    lab, key = inferred, inferring.TRIALS[0]
    before = holdings(lab / "reach.zarr")
    writer = TrialResults(Store(str(lab / "reach.zarr")), "fast", key)
    probability = before.results["fast", key]["probability"]
    new = np.flipud(probability), np.flipud(before.results["fast", key]["ethogram"])
    with monkeypatch.context() as patch:
        patch.setattr(TrialResults, "_say", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            writer.commit(*new, writer.provenance)
    assert holdings(lab / "reach.zarr").replacing == {("fast", key)}
    assert [outcome.error for outcome in inferring.outcomes(lab)] == [None, None]
    found = holdings(lab / "reach.zarr")
    assert not found.replacing
    np.testing.assert_array_equal(found.results["fast", key]["probability"], new[0])
