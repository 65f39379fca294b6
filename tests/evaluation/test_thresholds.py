"""``optimize_thresholds``: fitted on what was held out, in force without a network."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pytest
from reference import select
from results import (
    MODEL,
    annotate,
    ethogram,
    labelled_store,
    labels,
    masks,
    probabilities,
    put_result,
)
from sklearn import metrics as sk

import soupxr as sx
from soupxr.errors import ArgumentError
from soupxr.ingest import TrialRow
from soupxr.metrics import optimum_thresholds, threshold_curves
from soupxr.models.tgmj import TGMJ
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import BEHAVIORS
from soupxr.store import (
    ModelRecord,
    Store,
    TrialResults,
    add_model,
    add_trials,
    fitted_decision,
    write_annotations,
    write_out_of_fold,
)

TRIALS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")
LENGTH = 120


@pytest.fixture
def no_network(monkeypatch):
    """Every run of a network is an error."""

    def run(*_, **__):
        raise AssertionError("a network ran")

    monkeypatch.setattr(TGMJ, "forward", run)
    monkeypatch.setattr(HiddenTwoStream, "forward", run)


@pytest.fixture
def truth():
    return masks(TRIALS, LENGTH)


@pytest.fixture
def probability(truth):
    return {
        key: probabilities(mask, seed, 1.5) ** 2 for seed, (key, mask) in enumerate(truth.items())
    }


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, film):
    return labelled_store(tmp_path_factory.mktemp("labelled"), film, masks(TRIALS, LENGTH))


@pytest.fixture
def ds(labelled, tmp_path):
    return sx.open(shutil.copytree(labelled, tmp_path / "labelled.zarr"))


def stored(ds, key):
    return select(sx.open(ds.attrs["soupxr_store"]), key)


def score(truth, probability, thresholds, minimum_bout, k):
    said = [ethogram(probability[key], thresholds, minimum_bout)[:, k] for key in truth]
    return sk.f1_score(
        np.concatenate([mask[:, k] for mask in truth.values()]), np.concatenate(said)
    )


def test_all_complete_ethograms_are_derived_anew_without_a_network(
    ds, truth, probability, no_network
):
    for key in TRIALS:
        put_result(ds, key, probability[key], validated_on=TRIALS[:1])
    fit = ds.soup.optimize_thresholds("fast")
    limits, bouts = fit.threshold.values, [0, *fit.minimum_bout.values.tolist()]
    assert not np.array_equal(limits, [0.5] * 6)
    for key in TRIALS:
        one = stored(ds, key)
        np.testing.assert_array_equal(one.probability, probability[key])
        np.testing.assert_array_equal(one.ethogram, ethogram(probability[key], limits, bouts))
        identity = json.loads(one.provenance.item())["sequence"]["identity"]
        assert identity == {
            "sequence_model": MODEL,
            "thresholds": dict(zip(BEHAVIORS, limits.tolist(), strict=True)),
            "minimum_bout": bouts,
        }
        assert one.status == 2
    assert fit.attrs["n_ethograms_changed"] == 3
    kept = fitted_decision(Store(ds.attrs["soupxr_store"]), "fast")
    assert kept.sequence_model == MODEL
    assert kept.thresholds == dict(zip(BEHAVIORS, limits.tolist(), strict=True))
    assert (kept.annotator, kept.fitted_on) == ("human", "validation")
    again = ds.soup.optimize_thresholds("fast")
    assert again.attrs["n_ethograms_changed"] == 0
    np.testing.assert_array_equal(again.threshold, limits)


def test_trials_of_different_length_are_judged_together(tmp_path):
    lengths = dict(zip(TRIALS, (120, 95, 120), strict=True))
    ds = sx.create(tmp_path / "reach.zarr", tmp_path)
    rows = []
    for key, n_frames in lengths.items():
        animal, session, trial_id = key.split("/")
        rows.append(TrialRow(animal, session, int(trial_id), ("a.mp4", "b.mp4"), n_frames, 500.0))
    add_trials(ds.attrs["soupxr_store"], rows)
    ds = sx.open(tmp_path / "reach.zarr")
    truth = {key: labels(n_frames, seed) for seed, (key, n_frames) in enumerate(lengths.items())}
    write_annotations(ds.attrs["soupxr_store"], "human", truth)
    probability = {key: probabilities(mask, 7, 1.5) ** 2 for key, mask in truth.items()}
    for key in TRIALS:
        put_result(ds, key, probability[key])
    fit = ds.soup.optimize_thresholds("fast", on="all")
    limits, bouts = fit.threshold.values, [0, *fit.minimum_bout.values.tolist()]
    for k in range(6):
        assert fit.f1[k] == pytest.approx(score(truth, probability, limits, bouts, k))
        assert fit.f1_before[k] == pytest.approx(score(truth, probability, [0.5] * 6, 3, k))
    assert (fit.n_frames == sum(lengths.values())).all()


def test_it_is_fitted_on_validation_trials_alone(ds, truth, probability):
    for key in TRIALS:
        put_result(ds, key, probability[key], trained_on=TRIALS[1:2], validated_on=TRIALS[:2])
    fit = ds.soup.optimize_thresholds("fast", minimum_bout=0)
    only = TRIALS[0]
    curves = threshold_curves(probability[only], truth[only])
    np.testing.assert_array_equal(fit.threshold, optimum_thresholds(curves))
    assert (fit.attrs["fitted_on"], fit.attrs["n_trials"]) == ("validation", 1)
    assert (fit.n_frames == LENGTH).all()


def test_out_of_fold_probabilities_come_first(ds, truth, probability):
    folds = {key: probabilities(truth[key], 20 + n) for n, key in enumerate(TRIALS)}
    for fold, key in enumerate(TRIALS):
        write_out_of_fold(ds.attrs["soupxr_store"], "fast", key, fold, folds[key])
        put_result(ds, key, probability[key], trained_on=TRIALS[:2], validated_on=TRIALS[2:])
    fit = ds.soup.optimize_thresholds("fast", minimum_bout="keep")
    curves = threshold_curves(
        np.concatenate(list(folds.values())), np.concatenate(list(truth.values()))
    )
    best = optimum_thresholds(curves)
    for k in range(6):
        assert fit.threshold[k] in (best[k], 0.5)
    assert (fit.attrs["fitted_on"], fit.attrs["n_trials"]) == ("out of fold", 3)
    # The ethograms come from the probabilities that the store shows, not from those of the folds.
    one = stored(ds, TRIALS[0])
    wanted = ethogram(probability[TRIALS[0]], fit.threshold.values, 3)
    np.testing.assert_array_equal(one.ethogram, wanted)


@pytest.mark.parametrize("minimum_bout", ["labels", "keep"])
def test_no_behavior_gets_worse_and_the_figures_are_true(ds, truth, probability, minimum_bout):
    before = (0.3,) * 6
    for key in TRIALS:
        put_result(ds, key, probability[key], thresholds=before)
    fit = ds.soup.optimize_thresholds("fast", on="all", minimum_bout=minimum_bout)
    bouts = [0, *fit.minimum_bout.values.tolist()]
    for k in range(6):
        was = score(truth, probability, before, 3, k)
        now = score(truth, probability, fit.threshold.values, bouts, k)
        assert fit.f1_before[k].item() == pytest.approx(was)
        assert fit.f1[k].item() == pytest.approx(now)
        assert now >= was
    assert fit.threshold_before.values.tolist() == list(before)
    assert (fit.minimum_bout_before == 3).all()
    unchanged = ds.soup.evaluate("fast").f1
    np.testing.assert_allclose(unchanged, fit.f1)


@pytest.fixture
def lone(new_store):
    """One trial, labelled with bouts of 9 and 10 frames and one that is cut after 4."""
    ds = new_store(TRIALS[0], n_frames=LENGTH)
    mask = np.zeros((LENGTH, 6), np.int8)
    mask[[*range(10, 20), *range(45, 54)]] = 1
    mask[66:70] = 1
    mask[70:74] = -1
    return annotate(ds, TRIALS[0], mask), mask


def test_minimum_bouts_come_from_labels_that_are_whole(lone):
    """False alarms of 9 frames, and no trace of the cut bout: dropping both costs nothing."""
    ds, mask = lone
    probability = np.where(mask == 1, 0.9, 0.1).astype(np.float32)
    probability[[*range(43, 45), *range(54, 56)]] = 0.9
    probability[60:80] = 0.1
    probability[100:109] = 0.9
    put_result(ds, TRIALS[0], probability, minimum_bout=3)
    fit = ds.soup.optimize_thresholds("fast", on="all")
    assert (fit.minimum_bout == 9).all()
    assert (fit.f1 > fit.f1_before).all()


def test_minimum_bouts_that_cost_more_than_they_give_are_not_taken(lone):
    """The labelled bout of 9 frames would go too."""
    ds, mask = lone
    probability = np.where(mask == 1, 0.9, 0.1).astype(np.float32)
    put_result(ds, TRIALS[0], probability, thresholds=(0.95,) * 6, minimum_bout=3)
    fit = ds.soup.optimize_thresholds("fast", on="all")
    assert (fit.f1_before == 0).all()
    assert (fit.minimum_bout == 3).all()
    assert (fit.f1 == 1).all()


def test_what_no_label_shows_keeps_its_threshold(new_store, truth, probability):
    ds = new_store(TRIALS[0], n_frames=LENGTH)
    mask = truth[TRIALS[0]].copy()
    mask[:, 1] = 0
    mask[:, 2] = -1
    ds = annotate(ds, TRIALS[0], mask)
    limits = (0.5, 0.81, 0.62, 0.5, 0.5, 0.5)
    put_result(ds, TRIALS[0], probability[TRIALS[0]], thresholds=limits, minimum_bout=7)
    fit = ds.soup.optimize_thresholds("fast", on="all")
    assert fit.threshold[1:3].values.tolist() == [0.81, 0.62]
    assert fit.minimum_bout[1:3].values.tolist() == [7, 7]
    assert fit.n_frames[2] == 0
    assert np.isnan(fit.f1[2])


def test_informedness_may_be_wanted(ds, truth, probability):
    for key in TRIALS:
        put_result(ds, key, probability[key])
    fit = ds.soup.optimize_thresholds("fast", on="all", score="informedness", minimum_bout=0)
    curves = threshold_curves(
        np.concatenate(list(probability.values())), np.concatenate(list(truth.values()))
    )
    np.testing.assert_array_equal(fit.threshold, optimum_thresholds(curves, "informedness"))


def test_a_cross_validated_model_needs_no_result_yet(ds, probability):
    address = ds.attrs["soupxr_store"]
    for fold, key in enumerate(TRIALS):
        write_out_of_fold(address, "fast", key, fold, probability[key])
    with pytest.raises(ArgumentError, match="which sequence model made it"):
        ds.soup.optimize_thresholds("fast")
    record = ModelRecord("fast", "sequence", "/m/s.ckpt", "c" * 64, "now", "f1_mean", 0.9)
    add_model(address, record)
    fit = ds.soup.optimize_thresholds("fast")
    assert fit.attrs["sequence_model"] == "c" * 64
    assert fitted_decision(Store(address), "fast").sequence_model == "c" * 64


# ------------------------------------------------------------------ with real inference


def infer_small(new_store, models):
    ds = new_store("M1/S1/1", "M1/S1/2").soup.infer("fast", **models())
    for key in TRIALS[:2]:
        mask = (select(ds, key).probability.values > 0.6).astype(np.int8)
        ds = annotate(ds, key, mask)
    return ds


def test_infer_finds_the_results_up_to_date(new_store, models, monkeypatch):
    ds = infer_small(new_store, models)
    fit = ds.soup.optimize_thresholds("fast", on="all")
    assert fit.attrs["n_ethograms_changed"] == 2
    before = sx.open(ds.attrs["soupxr_store"]).ethogram.load()

    def run(*_, **__):
        raise AssertionError("a network ran")

    monkeypatch.setattr(TGMJ, "forward", run)
    monkeypatch.setattr(HiddenTwoStream, "forward", run)
    given = {
        "thresholds": dict(zip(BEHAVIORS, fit.threshold.values.tolist(), strict=True)),
        "minimum_bout": dict(zip(BEHAVIORS, fit.minimum_bout.values.tolist(), strict=True)),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds.soup.infer("fast", **models(), **given)
        ds.soup.infer("fast", **models())  # takes what was fitted for this sequence model
    np.testing.assert_array_equal(before, sx.open(ds.attrs["soupxr_store"]).ethogram)


# ------------------------------------------------------------------ what cannot be fitted


def test_results_of_two_sequence_models_are_refused(ds, probability):
    for key, model in zip(TRIALS, ("a" * 64, "b" * 64, "b" * 64), strict=True):
        put_result(ds, key, probability[key], model=model)
    with pytest.raises(ArgumentError, match=r"2 different sequence models(?s:.*)bbbbbbbbbbbb: 2"):
        ds.soup.optimize_thresholds("fast", on="all")
    assert fitted_decision(Store(ds.attrs["soupxr_store"]), "fast") is None
    ds.sel(animal="M2").soup.optimize_thresholds("fast", on="all")


def test_nothing_held_out_says_what_to_do(ds, probability):
    for key in TRIALS:
        put_result(ds, key, probability[key], trained_on=TRIALS)
    with pytest.raises(ArgumentError, match=r'was kept from the training.*folds=5.*on="all"'):
        ds.soup.optimize_thresholds("fast")
    with pytest.raises(ArgumentError, match="which sequence model"):
        ds.soup.optimize_thresholds("medium")


def test_a_failed_redo_stays_told(ds, probability):
    for key in TRIALS:
        put_result(ds, key, probability[key])
    store = Store(ds.attrs["soupxr_store"])
    TrialResults(store, "fast", TRIALS[1]).fail("the disk was away")
    fit = ds.soup.optimize_thresholds("fast", on="all")
    assert fit.attrs["n_ethograms_changed"] == 2
    assert stored(ds, TRIALS[1]).error == "the disk was away"


def test_arguments_of_no_use(ds):
    refused = {
        "mode: expected one of": {"mode": "quick"},
        "annotator: expected one of": {"annotator": "Bob"},
        "on: expected one of 'held-out'": {"on": "unseen"},
        "score: expected one of 'f1'": {"score": "accuracy"},
        "minimum_bout: expected 'labels'.*'short'": {"minimum_bout": "short"},
        "minimum_bout: expected 'labels'.*-1": {"minimum_bout": -1},
        "minimum_bout: expected 'labels'.*True": {"minimum_bout": True},
    }
    for message, arguments in refused.items():
        with pytest.raises(ArgumentError, match=message):
            ds.soup.optimize_thresholds(**({"mode": "fast"} | arguments))
