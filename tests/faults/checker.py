"""What a store holds that was committed, whether that is whole, and whether anything was lost.

Everything is read as a user reads it, through ``soupxr.open``, and judged by itself: a complete
result must be the ethogram that its own provenance makes of its own probabilities.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

import soupxr as sx
from soupxr.dataset import keys_of
from soupxr.evaluation.decisions import decide, results_of
from soupxr.inference.provenance import Record
from soupxr.schema import FRAME_CHUNK, Status
from soupxr.store import FittedDecision, ModelRecord, Store, fitted_decision, models
from soupxr.store.replacement import ROWS, NewResult, Replacement

__all__ = ["Holdings", "assert_equal", "assert_nothing_lost", "assert_told", "holdings"]

#: How far apart two runs of one network may be.
TOLERANCE = 1e-6
FEATURES = ("spatial", "flow", "logit")
MARKS = {status.value for status in Status}


@dataclass
class Holdings:
    """What counts of a store.

    Parameters
    ----------
    trials : dict
        By key: number of frames, rate, videos, kind of experiment.
    results : dict
        By mode and key, of complete trials: probability, ethogram, and what made them. Those that
        are not in their place yet are among them.
    features : dict
        By mode and key, of trials whose provenance vouches for features: the arrays.
    labels : dict
        By annotator and key, where anything is labelled.
    """

    trials: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    results: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    features: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    #: Complete but for their ethogram, which was about to be decided anew.
    deciding: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    #: Whose new result is whole, but not in its place yet.
    replacing: set[tuple[str, str]] = field(default_factory=set)
    annotators: list[str] = field(default_factory=list)
    labels: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    decisions: dict[str, FittedDecision] = field(default_factory=dict)
    models: list[ModelRecord] = field(default_factory=list)


def holdings(address: str | Path) -> Holdings:
    """Read what counts, and insist that each of it is whole."""
    ds, store = sx.open(address), Store(str(address))
    keys = keys_of(ds)
    assert len(set(keys)) == len(keys), f"a trial is there twice: {keys}"
    assert set(keys) == set(store.keys())
    found = Holdings(annotators=[str(name) for name in ds.annotator.values])
    assert all(found.annotators), "an annotator without a name"
    loaded = ds.drop_dims("behavior").load()
    for place, trial in enumerate(store.trials(keys)):
        assert trial.key == f"{trial.animal}/{trial.session}/{trial.trial_id}"
        assert trial.n_frames > 0, f"{trial.key} has no frames"
        assert trial.fps > 0
        assert all(trial.video_paths)
        facts = (trial.n_frames, trial.fps, trial.video_paths, trial.experiment)
        found.trials[trial.key] = facts
        assert loaded.n_frames.values[place] == trial.n_frames
    for mode in store.modes:
        _read_mode(found, ds, store, mode, keys)
        decision = fitted_decision(store, mode)
        if decision is not None:
            found.decisions[mode] = decision
    for row, annotator in enumerate(found.annotators):
        for key, labels in zip(keys, ds.annotation[row].values, strict=True):
            n_frames = found.trials[key][0]
            assert set(np.unique(labels)) <= {-1, 0, 1}
            np.testing.assert_array_equal(
                store.rows("annotation", row, store.trial(key)), labels[:n_frames]
            )
            if (labels != -1).any():
                found.labels[annotator, key] = labels
    found.models = models(store)
    return found


def _read_mode(found: Holdings, ds: Any, store: Store, mode: str, keys: list[str]) -> None:
    chosen = ds.sel(mode=mode)
    status = chosen.status.values
    assert set(status.tolist()) <= MARKS
    judged = results_of(store, mode, store.trials(keys))
    behaviors = store.labels("behavior")
    for place, key in enumerate(keys):
        text, n_frames = str(chosen.provenance.values[place]), found.trials[key][0]
        record = Record.parse(text)
        if record.features is not None and record.features["kept"] != "none":
            found.features[mode, key] = _features(store, mode, key, n_frames)
        probability = chosen.probability[place].values
        if status[place] == Status.DECIDING:
            assert np.isfinite(probability[:n_frames]).all()
            found.deciding[mode, key] = probability
        result = judged[key]
        if status[place] == Status.REPLACING:
            new = Replacement(store, mode, store.slot(key)).read(n_frames)
            assert new is not None, f"{key}: nothing is there to replace its result"
            probability, ethogram = (_with_padding(new, name, chosen) for name in ROWS)
            record = Record.parse(new.provenance)
            result = replace(result, record=record)
            found.replacing.add((mode, key))
        elif status[place] == Status.COMPLETE:
            ethogram = chosen.ethogram[place].values
        else:
            continue
        assert np.isfinite(probability[:n_frames]).all(), f"{key} is half there in mode {mode}"
        assert ((probability[:n_frames] >= 0) & (probability[:n_frames] <= 1)).all()
        assert np.isnan(probability[n_frames:]).all(), f"{key} has a tail of another result"
        assert set(np.unique(ethogram[:n_frames])) <= {0, 1}
        assert (ethogram[n_frames:] == -1).all()
        assert record.sequence is not None, f"{key}: nobody knows how its ethogram was made"
        if "imported" not in record.sequence:  # whose program has decided in a way of its own
            decision = result.decision(behaviors)
            assert decision is not None
            decided = decide(decision, probability[:n_frames])
            np.testing.assert_array_equal(ethogram[:n_frames], decided)
        found.results[mode, key] = {
            "probability": probability[:n_frames],
            "ethogram": ethogram[:n_frames],
            "identity": json.dumps(record.sequence["identity"], sort_keys=True),
        }


def _with_padding(result: NewResult, name: str, chosen: Any) -> np.ndarray:
    array = chosen[name]
    values = getattr(result, name)
    row = np.full(array.shape[1:], -1 if name == "ethogram" else np.nan, array.dtype)
    row[: len(values)] = values
    return row


def _features(store: Store, mode: str, key: str, n_frames: int) -> dict[str, Any]:
    slot, arrays = store.slot(key), store.features(mode)
    kept = {name: np.asarray(arrays[name][slot, :n_frames]) for name in FEATURES}
    for name, values in kept.items():
        assert np.isfinite(values).all(), f"{key}: {name} is half there in mode {mode}"
    return kept


# ------------------------------------------------------------------ comparing


def assert_nothing_lost(
    found: Holdings,
    before: Holdings,
    after: Holdings,
    *,
    redone: Iterable[tuple[str, str]] = (),
) -> None:
    """Each thing is as it was before the interrupted call, or as the whole call leaves it.

    Parameters
    ----------
    redone : iterable of (mode, key)
        What the call was asked to make anew: features of the one at work may be gone. Results are
        old or new.
    """
    spared = set()
    _each(found.trials, before.trials, after.trials, _same, "trial")
    for place in set(before.results) - set(found.results) - spared:
        if place in after.results and place in found.deciding:
            _assert_same(
                found.deciding[place][: len(before.results[place]["probability"])],
                before.results[place]["probability"],
                f"{place} is being decided anew",
            )
            spared.add(place)
    for place in set(before.deciding) - spared:
        kept = place in found.deciding or place in found.results
        assert kept or place[1] not in found.trials, f"{place} was being decided anew, and is lost"
    _each(found.results, before.results, after.results, _same_result, "result", spared)
    _each(found.features, before.features, after.features, _same_result, "features", set(redone))
    _each(found.decisions, before.decisions, after.decisions, _same, "decision")
    _assert_annotations(found, before, after)
    for record in before.models:
        assert record in found.models, f"a model was forgotten: {record}"
    assert all(record in before.models + after.models for record in found.models)


def _assert_annotations(found: Holdings, before: Holdings, after: Holdings) -> None:
    assert found.annotators in (before.annotators, after.annotators)
    for place in set(found.labels) | set(before.labels) | set(after.labels):
        annotator, key = place
        if key not in found.trials:
            continue
        states = [before.labels.get(place), after.labels.get(place)]
        if annotator not in before.annotators:
            # A new annotator is there with all labels or not at all.
            states = states[1:] if annotator in found.annotators else states[:1]
        now = found.labels.get(place)
        for start in range(0, _length(now, *states), FRAME_CHUNK):
            block = _block(now, start)
            assert any(np.array_equal(block, _block(state, start)) for state in states), (
                f"{place}: labels from frame {start} are neither the old nor the new ones"
            )


def _length(*labels: np.ndarray | None) -> int:
    return max((len(one) for one in labels if one is not None), default=0)


def _block(labels: np.ndarray | None, start: int) -> np.ndarray:
    """Labels of a block, less what is unlabelled at its end."""
    if labels is None:
        return np.zeros((0, 0), np.int8)
    block = labels[start : start + FRAME_CHUNK]
    labelled = np.flatnonzero((block != -1).any(axis=1))
    return block[: labelled[-1] + 1] if labelled.size else np.zeros((0, 0), np.int8)


def _each(found, before, after, same, what, spared=frozenset()) -> None:
    for place in set(found) | set(before):
        states = [state[place] for state in (before, after) if place in state]
        if place in found:
            fits = any(same(found[place], state) for state in states)
            assert fits, f"{what} {place} is neither as it was nor as it should be"
        elif place in after and place not in spared:
            raise AssertionError(f"{what} {place} was lost")


def assert_told(problem: Exception, *causes: str) -> None:
    """A problem names one of these causes."""
    assert any(cause in str(problem) for cause in causes), problem


def assert_equal(found: Holdings, wanted: Holdings) -> None:
    """Two stores hold the same."""
    assert found.trials == wanted.trials
    for name in ("results", "features"):
        one, other = getattr(found, name), getattr(wanted, name)
        assert set(one) == set(other), f"{name}: {set(one) ^ set(other)}"
        assert all(_same_result(one[place], other[place]) for place in one), name
    assert found.annotators == wanted.annotators
    assert set(found.labels) == set(wanted.labels)
    for place in found.labels:
        np.testing.assert_array_equal(_trimmed(found.labels[place]), _trimmed(wanted.labels[place]))
    assert not found.deciding
    assert not found.replacing
    assert {m: _timeless(d) for m, d in found.decisions.items()} == {
        m: _timeless(d) for m, d in wanted.decisions.items()
    }


def _trimmed(labels: np.ndarray) -> np.ndarray:
    labelled = np.flatnonzero((labels != -1).any(axis=1))
    return labels[: labelled[-1] + 1]


def _timeless(decision: FittedDecision) -> tuple[Any, ...]:
    return (decision.sequence_model, dict(decision.thresholds), dict(decision.minimum_bout))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, FittedDecision):
        return _timeless(one) == _timeless(other)
    return bool(one == other)


def _same_result(one: dict[str, Any], other: dict[str, Any]) -> bool:
    for name, value in one.items():
        wanted = other[name]
        if isinstance(value, str):
            if value != wanted:
                return False
        elif value.shape != wanted.shape:
            return False
        elif value.dtype.kind == "f":
            # Logits and activations are of any size.
            if not np.allclose(value, wanted, atol=TOLERANCE * max(1.0, np.abs(wanted).max())):
                return False
        elif not np.array_equal(value, wanted):
            return False
    return True


def _assert_same(one: np.ndarray, other: np.ndarray, what: str) -> None:
    np.testing.assert_array_equal(one, other, err_msg=what)
