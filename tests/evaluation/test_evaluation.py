"""``evaluate``: from a store to scores, and never on what was learnt from."""

from __future__ import annotations

import shutil
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from results import annotate, ethogram, labelled_store, masks, probabilities, put_result
from sklearn import metrics as sk

import soupxr as sx
from soupxr.errors import ArgumentError
from soupxr.store import FittedDecision, Store, set_decision, write_out_of_fold

TRIALS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")
LENGTH = 60


@pytest.fixture
def truth():
    return masks(TRIALS, LENGTH)


@pytest.fixture
def probability(truth):
    return {key: probabilities(mask, seed) for seed, (key, mask) in enumerate(truth.items())}


@pytest.fixture(scope="module")
def labelled(tmp_path_factory, film):
    return labelled_store(tmp_path_factory.mktemp("labelled"), film, masks(TRIALS, LENGTH))


@pytest.fixture
def ds(labelled, tmp_path):
    return sx.open(shutil.copytree(labelled, tmp_path / "labelled.zarr"))


def f1(truth, said):
    """Of each behavior, over the frames of several trials."""
    pairs = np.concatenate(list(truth)), np.concatenate(list(said))
    return [sk.f1_score(pairs[0][:, k], pairs[1][:, k]) for k in range(6)]


def test_scores_are_those_of_the_stored_ethograms(ds, truth, probability):
    for key in TRIALS:
        put_result(ds, key, probability[key], thresholds=(0.4,) * 6)
    scores = ds.soup.evaluate("fast")
    said = [ethogram(probability[key], (0.4,) * 6, 3) for key in TRIALS]
    np.testing.assert_allclose(scores.f1, f1(truth.values(), said))
    assert scores.threshold.values.tolist() == [0.4] * 6
    whole = np.concatenate(list(probability.values()))
    grab = np.concatenate(list(truth.values()))[:, 2]
    wanted = sk.average_precision_score(grab, whole[:, 2])
    assert scores.average_precision.sel(behavior="grab").item() == pytest.approx(wanted)
    assert scores.onset_error_ms.sel(behavior="grab") == pytest.approx(
        10 * scores.onset_error.sel(behavior="grab").item()
    )
    assert scores.attrs == {
        "soupxr_evaluation": 1,
        "overlap": 0.5,
        "prediction": "fast",
        "annotator": "human",
        "on": "unseen",
        "n_trials": 3,
        "n_validation_trials": 0,
        "thresholds_from": "results",
    }


def test_trials_that_were_learnt_from_are_left_out(ds, truth, probability):
    for key in TRIALS:
        put_result(ds, key, probability[key], trained_on=TRIALS[:1], validated_on=TRIALS[1:2])
    scores = ds.soup.evaluate("fast", by="trial")
    assert scores.trial.values.tolist() == list(TRIALS[1:])
    assert (scores.attrs["n_trials"], scores.attrs["n_validation_trials"]) == (2, 1)
    everything = ds.soup.evaluate("fast", on="all", by="trial")
    assert everything.trial.values.tolist() == list(TRIALS)
    xr.testing.assert_equal(everything.sel(trial=TRIALS[2]), scores.sel(trial=TRIALS[2]))


def test_each_trial_is_asked_what_its_own_models_learnt_from(ds, probability):
    put_result(ds, TRIALS[0], probability[TRIALS[0]], trained_on=TRIALS[1:])
    put_result(ds, TRIALS[1], probability[TRIALS[1]], trained_on=TRIALS[:2])
    assert ds.soup.evaluate("fast", by="trial").trial.values.tolist() == [TRIALS[0]]


def test_selections_and_groups(ds, probability):
    for key in TRIALS:
        put_result(ds, key, probability[key])
    by_animal = ds.soup.evaluate("fast", by="animal")
    assert by_animal.f1.dims == ("animal", "behavior")
    alone = ds.sel(animal="M2").soup.evaluate("fast")
    xr.testing.assert_allclose(by_animal.sel(animal="M2", drop=True), alone)
    assert ds.soup.evaluate("fast", by="session").session.values.tolist() == ["M1/S1", "M2/S1"]


def test_unlabelled_frames_and_trials_do_not_count(new_store, truth, probability):
    ds = new_store(*TRIALS, n_frames=LENGTH)
    partial = truth[TRIALS[0]].copy()
    partial[30:] = -1
    partial[:10, 4] = -1
    ds = annotate(ds, TRIALS[0], partial)
    for key in TRIALS:
        put_result(ds, key, probability[key])
    scores = ds.soup.evaluate("fast")
    assert scores.n_frames.values.tolist() == [30, 30, 30, 30, 20, 30]
    assert scores.attrs["n_trials"] == 1
    said = ethogram(probability[TRIALS[0]], (0.5,) * 6, 3)
    np.testing.assert_array_equal(
        scores.confusion.sel(behavior="atmouth"),
        sk.confusion_matrix(partial[10:30, 4], said[10:30, 4], labels=[0, 1]),
    )


def test_thresholds_that_are_tried_change_nothing_stored(ds, truth, probability):
    for key in TRIALS:
        put_result(ds, key, probability[key], minimum_bout=[0, 5, 0, 0, 0, 0, 0])
    before = sx.open(ds.attrs["soupxr_store"]).ethogram.load()
    scores = ds.soup.evaluate("fast", thresholds={"lift": 0.7, "chew": 0.2})
    limits = (0.7, 0.5, 0.5, 0.5, 0.5, 0.2)
    said = [ethogram(probability[key], limits, [0, 5, 0, 0, 0, 0, 0]) for key in TRIALS]
    np.testing.assert_allclose(scores.f1, f1(truth.values(), said))
    np.testing.assert_array_equal(scores.threshold, limits)
    assert scores.attrs["thresholds_from"] == "argument"
    xr.testing.assert_identical(before, sx.open(ds.attrs["soupxr_store"]).ethogram.load())


def test_out_of_fold_probabilities_are_decided_as_the_results_were(ds, truth, probability):
    folds = {key: probabilities(truth[key], 10 + n) for n, key in enumerate(TRIALS)}
    address = ds.attrs["soupxr_store"]
    for fold, key in enumerate(TRIALS[:2]):
        write_out_of_fold(address, "fast", key, fold, folds[key])
        put_result(ds, key, probability[key], thresholds=(0.3,) * 6, trained_on=TRIALS)
    scores = ds.soup.evaluate("fast", on="out-of-fold")
    said = [ethogram(folds[key], (0.3,) * 6, 3) for key in TRIALS[:2]]
    np.testing.assert_allclose(scores.f1, f1([truth[key] for key in TRIALS[:2]], said))
    assert (scores.attrs["n_trials"], scores.attrs["thresholds_from"]) == (2, "results")


def test_out_of_fold_needs_no_results(ds, truth, probability):
    address = ds.attrs["soupxr_store"]
    key = TRIALS[0]
    write_out_of_fold(address, "fast", key, 0, probability[key])
    scores = ds.soup.evaluate("fast", on="out-of-fold")
    assert scores.attrs["thresholds_from"] == "default"
    np.testing.assert_allclose(
        scores.f1, f1([truth[key]], [ethogram(probability[key], (0.5,) * 6, 3)])
    )
    chosen = dict.fromkeys(ds.behavior.values.tolist(), 0.2)
    bouts = dict.fromkeys(chosen, 0)
    fitted = FittedDecision("b" * 64, chosen, bouts, "human", "out of fold", "now")
    set_decision(address, "fast", fitted)
    scores = ds.soup.evaluate("fast", on="out-of-fold")
    assert scores.attrs["thresholds_from"] == "fitted"
    np.testing.assert_allclose(
        scores.f1, f1([truth[key]], [ethogram(probability[key], (0.2,) * 6, 0)])
    )


def test_two_annotators_are_compared(ds, truth):
    other = {key: np.roll(mask, 2, axis=0) for key, mask in truth.items()}
    ds = annotate(ds, TRIALS[0], other[TRIALS[0]], "Ana")
    ds = annotate(ds, TRIALS[1], other[TRIALS[1]], "Ana")
    scores = ds.soup.evaluate("Ana", "human")
    keys = TRIALS[:2]
    np.testing.assert_allclose(
        scores.f1, f1([truth[key] for key in keys], [other[key] for key in keys])
    )
    flat = [np.concatenate([side[key][:, 0] for key in keys]) for side in (truth, other)]
    kappa = sk.cohen_kappa_score(*flat)
    assert scores.kappa.sel(behavior="lift").item() == pytest.approx(kappa)
    for name in ("average_precision", "auroc", "threshold", "temperature", "curve_recall"):
        assert scores[name].isnull().all()
    assert (scores.onset_error == 2).all()
    assert (scores.attrs["on"], scores.attrs["n_trials"]) == ("all", 2)
    xr.testing.assert_allclose(ds.soup.evaluate("human", "Ana").kappa, scores.kappa)


def test_three_raters_of_a_real_video(shared, new_store):
    """Figures counted from sets of frames, not from masks. Two frames a second."""
    behaviors = ["Supported", "Unsupported", "Grooming"]
    table = pd.read_csv(shared / "data" / "labels" / "mouse_openfield_bouts.csv", sep=";")
    table = table[table["ID"].eq("OFT_11") & table["type"].isin(behaviors)]
    frames = {
        (rater, name): {
            frame
            for start, stop in rows[["from", "to"]].to_numpy()
            for frame in range(round(2 * start), round(2 * stop))
        }
        for (rater, name), rows in table.groupby(["Experimenter", "type"])
    }
    raters = sorted({rater for rater, _ in frames})
    assert len(raters) == 3
    length = 2 + max(max(some, default=0) for some in frames.values())
    ds = new_store("OFT/S1/11", n_frames=length, views=("side",), behaviors=behaviors)
    for rater in raters:
        mask = np.zeros((length, 3), np.int8)
        for k, name in enumerate(behaviors):
            mask[sorted(frames.get((rater, name), ())), k] = 1
        ds = annotate(ds, "OFT/S1/11", mask, rater)
    for one, other in combinations(raters, 2):
        scores = ds.soup.evaluate(one, other)
        for name in behaviors:
            a, b = frames.get((one, name), set()), frames.get((other, name), set())
            agreed = (length - len(a ^ b)) / length
            share = len(a) / length, len(b) / length
            chance = share[0] * share[1] + (1 - share[0]) * (1 - share[1])
            got = scores.sel(behavior=name)
            assert got.kappa.item() == pytest.approx((agreed - chance) / (1 - chance))
            assert got.f1.item() == pytest.approx(2 * len(a & b) / (len(a) + len(b)))


# ------------------------------------------------------------------ what cannot be scored


def test_nothing_unseen_says_what_to_do(ds, probability):
    for key in TRIALS:
        put_result(ds, key, probability[key], trained_on=TRIALS)
    with pytest.raises(ArgumentError, match=r'every one of the 3 labelled.*folds=5.*on="all"'):
        ds.soup.evaluate("fast")


def test_every_lack_has_its_own_words(new_store, ds, truth, probability):
    with pytest.raises(ArgumentError, match=r"complete in mode fast.*infer\(mode='fast'\) first"):
        ds.soup.evaluate("fast")
    with pytest.raises(ArgumentError, match=r"out-of-fold probabilities.*folds=5"):
        ds.soup.evaluate("fast", on="out-of-fold")
    with pytest.raises(ArgumentError, match=r"annotator: expected another than 'human'"):
        ds.soup.evaluate("human")
    bare = new_store(*TRIALS, name="bare.zarr", n_frames=LENGTH)
    with pytest.raises(ArgumentError, match="annotator: nobody has labelled"):
        bare.soup.evaluate("fast")
    bare = annotate(bare, TRIALS[0], truth[TRIALS[0]])
    with pytest.raises(ArgumentError, match=r"'human' has labelled none of the 1 selected"):
        bare.sel(animal="M2").soup.evaluate("fast")
    bare = annotate(bare, TRIALS[2], truth[TRIALS[2]], "Ana")
    with pytest.raises(ArgumentError, match="no labelled frame in common"):
        bare.soup.evaluate("Ana", "human")
    with pytest.raises(ArgumentError, match="annotator: expected one of"):
        bare.soup.evaluate("fast")


def test_arguments_of_no_use(ds, truth):
    ds = annotate(ds, TRIALS[0], truth[TRIALS[0]], "Ana")
    refused = {
        r"mode: expected one of \['fast'.*annotator \['human', 'Ana'\]": {"mode": "quick"},
        "annotator: expected one of": {"annotator": "Bob"},
        "on: expected one of 'unseen'": {"on": "test"},
        "by: expected one of 'animal'": {"by": "view"},
        "overlap: expected a number": {"overlap": 2},
        "thresholds: expected behaviors among": {"thresholds": {"run": 0.5}},
        "thresholds: expected numbers from 0 to below 1": {"thresholds": 1.0},
        "thresholds: expected None for two annotators": {"mode": "Ana", "thresholds": 0.5},
    }
    for message, arguments in refused.items():
        with pytest.raises(ArgumentError, match=message):
            ds.soup.evaluate(**({"mode": "fast", "annotator": "human"} | arguments))


def test_a_result_of_an_interrupted_write_is_no_result(ds, probability):
    for key in TRIALS:
        put_result(ds, key, probability[key])
    store = Store(ds.attrs["soupxr_store"])
    store.arrays["status"][0, store.slot(TRIALS[0])] = 0
    assert ds.soup.evaluate("fast").attrs["n_trials"] == 2
