"""Any sequence of calls, crashes among them, leaves what a simple model of a store says."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from faults import calls
from faults.checker import Holdings, assert_equal, assert_nothing_lost, holdings
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from results import ethogram, probabilities

import soupxr as sx
from soupxr.evaluation import inforce
from soupxr.evaluation.decisions import results_of
from soupxr.modes import BEHAVIORS
from soupxr.schema import FRAME_CHUNK, Status
from soupxr.store import (
    FittedDecision,
    Store,
    TrialResults,
    add_trials,
    annotations,
    membership,
    remove_trials,
    replacement,
    results,
    set_decision,
    write_annotations,
    zarrs,
)
from soupxr.store.direct import _numbers_of, _places_of, _texts_of

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1", "Mäus chen/S;1/7")
LENGTHS = (5, 40, FRAME_CHUNK + 6)
ANNOTATORS = ("Ana", "Ben", "Ünal")
MODES = ("fast", "slow")
#: What a store says of a row: its place in the list of names matters to nobody.
EXPERIMENT = "table"


class Crash(BaseException):
    """As if the process had been killed, but for what ``finally`` does."""


class _Countdown:
    """Raises at the so manyth change of values or shapes."""

    def __init__(self, left: int) -> None:
        self.left = left

    def guard(self, change: Callable[..., None]) -> Callable[..., None]:
        def guarded(*arguments: object) -> None:
            self.left -= 1
            if self.left < 0:
                raise Crash
            change(*arguments)

        return guarded


def crashing(patch: pytest.MonkeyPatch, left: int) -> None:
    countdown = _Countdown(left)
    write, resize = countdown.guard(zarrs.write), countdown.guard(zarrs.resize)
    for module in (membership, annotations, results, replacement):
        patch.setattr(module, "write", write)
    for module in (membership, annotations):
        patch.setattr(module, "resize", resize)


# ------------------------------------------------------------------ calls, and what they mean


def row_of(key: str, n_frames: int):
    return calls.rows(key, n_frames=n_frames)[0]


def mask_of(seed: int, n_frames: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-1, 2, (n_frames, 6)).astype(np.int8)


def probability_of(seed: int, n_frames: int) -> np.ndarray:
    return probabilities(mask_of(seed, n_frames), seed)


def features_of(seed: int, n_frames: int) -> dict[str, np.ndarray]:
    value = np.arange(n_frames, dtype=np.float32)[:, None] + seed
    widths = {"spatial": 512, "flow": 512, "logit": 7}
    return {name: np.tile(value, width) for name, width in widths.items()}


def identity_of(thresholds: list[float], minimum_bout: list[int]) -> dict:
    return {
        "sequence_model": calls.MODEL,
        "thresholds": dict(zip(BEHAVIORS, thresholds, strict=True)),
        "minimum_bout": [0, *minimum_bout],
    }


def result_of(probability: np.ndarray, thresholds: list[float], bouts: list[int]) -> dict:
    return {
        "probability": probability,
        "ethogram": ethogram(probability, thresholds, [0, *bouts]),
        "identity": json.dumps(identity_of(thresholds, bouts), sort_keys=True),
    }


def infer(address: str, mode: str, key: str, seed: int) -> None:
    """As inference writes."""
    store = Store(address)
    writer, n_frames = TrialResults(store, mode, key), store.trial(key).n_frames
    writer.finish_replacement()
    old = json.loads(writer.provenance or "{}").get("sequence")
    writer.start_features(json.dumps({"features": None, "sequence": old, "claim": f"{seed}"}))
    features = features_of(seed, n_frames)
    for start in range(0, n_frames, 512):
        block = {name: values[start : start + 512] for name, values in features.items()}
        writer.write_features(start, block)
    part = {"identity": {"seed": seed}, "kept": "float32"}
    writer.commit_features(json.dumps({"features": part, "sequence": old}))
    probability = probability_of(seed, n_frames)
    wanted = result_of(probability, [0.5] * 6, [3] * 6)
    sequence = {"identity": json.loads(wanted["identity"]), "features": {"seed": seed}}
    record = {"features": part, "sequence": sequence}
    writer.commit(probability, wanted["ethogram"], json.dumps(record))


def decide(address: str, mode: str, threshold: float, bout: int) -> None:
    """As fitted thresholds are put into force."""
    fitted = FittedDecision(
        calls.MODEL,
        dict.fromkeys(BEHAVIORS, threshold),
        dict.fromkeys(BEHAVIORS, bout),
        "Ana",
        "all",
        "today",
    )
    set_decision(address, mode, fitted)
    store = Store(address)
    results = results_of(store, mode, store.trials(store.keys())).values()
    inforce.put_into_force(address, mode, fitted, results, dry_run=False)


class Model:
    """A store in memory."""

    def __init__(self) -> None:
        self.held = Holdings()

    def copy(self) -> Holdings:
        return copy.deepcopy(self.held)

    def add(self, key: str, n_frames: int) -> None:
        row = row_of(key, n_frames)
        self.held.trials[key] = (n_frames, row.fps, row.video_paths, EXPERIMENT)

    def remove(self, key: str) -> None:
        del self.held.trials[key]
        for name in ("results", "features", "deciding", "labels"):
            kept = {p: v for p, v in getattr(self.held, name).items() if p[1] != key}
            setattr(self.held, name, kept)
        self.held.replacing = {place for place in self.held.replacing if place[1] != key}

    def annotate(self, annotator: str, masks: dict[str, np.ndarray]) -> None:
        if annotator not in self.held.annotators:
            self.held.annotators.append(annotator)
        for key, mask in masks.items():
            self.held.labels.pop((annotator, key), None)
            if (mask != -1).any():
                self.held.labels[annotator, key] = mask

    def infer(self, mode: str, key: str, seed: int) -> None:
        n_frames = self.held.trials[key][0]
        self.held.deciding.pop((mode, key), None)
        self.held.replacing.discard((mode, key))
        self.held.features[mode, key] = features_of(seed, n_frames)
        probability = probability_of(seed, n_frames)
        self.held.results[mode, key] = result_of(probability, [0.5] * 6, [3] * 6)

    def decide(self, mode: str, threshold: float, bout: int) -> None:
        self.held.decisions[mode] = FittedDecision(
            calls.MODEL,
            dict.fromkeys(BEHAVIORS, threshold),
            dict.fromkeys(BEHAVIORS, bout),
            "Ana",
            "all",
            "today",
        )
        known = {place: result["probability"] for place, result in self.held.results.items()}
        for place, probability in self.held.deciding.items():
            known[place] = probability[: self.held.trials[place[1]][0]]
        self.held.deciding = {p: v for p, v in self.held.deciding.items() if p[0] != mode}
        for place, probability in known.items():
            if place[0] == mode and place not in self.held.replacing:
                self.held.results[place] = result_of(probability, [threshold] * 6, [bout] * 6)


class StoreMachine(RuleBasedStateMachine):
    """The store beside its model."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.model = Model()
        self.crashes_at: int | None = None
        self.address = str(self.folder / "reach.zarr")

    @initialize()
    def create(self) -> None:
        (self.folder / "videos").mkdir()
        sx.create(self.address, self.folder / "videos")

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    def do(self, real: Callable[[], None], meant: Callable[[], None], redone=()) -> None:
        """Make a call, or let it crash on the way."""
        before = self.model.copy()
        meant()
        if self.crashes_at is None:
            real()
            return
        left, self.crashes_at = self.crashes_at, None
        with pytest.MonkeyPatch.context() as patch:
            crashing(patch, left)
            try:
                real()
            except Crash:
                pass
            else:
                return  # it was done before
        found = holdings(self.address)
        assert_nothing_lost(found, before, self.model.held, redone=redone)
        self.model.held = found  # which of the two it is, the model cannot know

    @rule(left=st.integers(0, 60))
    def crash_at_the_next_call(self, left: int) -> None:
        self.crashes_at = left

    @rule(data=st.data(), n_frames=st.sampled_from(LENGTHS))
    def add(self, data, n_frames: int) -> None:
        new = [key for key in KEYS if key not in self.model.held.trials]
        if not new:
            with pytest.raises(sx.StoreError, match="nothing was added"):
                add_trials(self.address, [row_of(KEYS[0], n_frames)])
            return
        key = data.draw(st.sampled_from(new))
        self.do(
            lambda: add_trials(self.address, [row_of(key, n_frames)], EXPERIMENT),
            lambda: self.model.add(key, n_frames),
        )

    @precondition(lambda self: self.model.held.trials)
    @rule(data=st.data())
    def remove(self, data) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.held.trials)))
        self.do(lambda: remove_trials(self.address, [key]), lambda: self.model.remove(key))

    @precondition(lambda self: self.model.held.trials)
    @rule(data=st.data(), who=st.sampled_from(ANNOTATORS), seed=st.integers(0, 9))
    def annotate(self, data, who: str, seed: int) -> None:
        keys = data.draw(st.sets(st.sampled_from(sorted(self.model.held.trials)), min_size=1))
        masks = {key: mask_of(seed, self.model.held.trials[key][0]) for key in sorted(keys)}
        self.do(
            lambda: write_annotations(self.address, who, masks, overwrite=True),
            lambda: self.model.annotate(who, masks),
        )

    @precondition(lambda self: self.model.held.trials)
    @rule(data=st.data(), mode=st.sampled_from(MODES), seed=st.integers(0, 9))
    def infer(self, data, mode: str, seed: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.model.held.trials)))
        self.do(
            lambda: infer(self.address, mode, key, seed),
            lambda: self.model.infer(mode, key, seed),
            redone=[(mode, key)],
        )

    @precondition(lambda self: self.model.held.trials)
    @rule(data=st.data(), mode=st.sampled_from(MODES))
    def fail(self, data, mode: str) -> None:
        """A failure throws no result away."""
        key = data.draw(st.sampled_from(sorted(self.model.held.trials)))
        TrialResults(Store(self.address), mode, key).fail("the video is damaged")
        slot = Store(self.address).slot(key)
        (mark,) = Store(self.address).statuses(mode, [slot])
        marks = {
            Status.REPLACING: self.model.held.replacing,
            Status.COMPLETE: self.model.held.results,
            Status.DECIDING: self.model.held.deciding,
        }
        held = (one for one, places in marks.items() if (mode, key) in places)
        assert mark == next(held, Status.FAILED)
        results.write(Store(self.address).arrays["error"], (MODES.index(mode) * 2, slot), "")

    @rule(
        mode=st.sampled_from(MODES), threshold=st.sampled_from([0.2, 0.6]), bout=st.integers(0, 4)
    )
    def thresholds(self, mode: str, threshold: float, bout: int) -> None:
        self.do(
            lambda: decide(self.address, mode, threshold, bout),
            lambda: self.model.decide(mode, threshold, bout),
        )

    @rule()
    def reopen(self) -> None:
        """As another process sees it: nothing is remembered of files that were read."""
        for known in (zarrs._group_at, zarrs._array_at, _texts_of, _places_of, _numbers_of):
            known.cache_clear()

    @invariant()
    def the_store_is_as_the_model_says(self) -> None:
        if not Path(self.address).exists():
            return
        found, wanted = holdings(self.address), self.model.copy()
        assert set(found.deciding) == set(wanted.deciding)
        assert found.replacing == wanted.replacing
        found.deciding, wanted.deciding = {}, {}
        found.replacing, wanted.replacing = set(), set()
        assert_equal(found, wanted)


def _run(examples: int) -> None:
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


@pytest.mark.timeout(1200)  # on a busy machine
def test_a_store_is_what_its_model_says():
    _run(5)


@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_a_store_is_what_its_model_says_thoroughly():
    _run(100)
