"""The Dataset of scores, from arrays: against scikit-learn, and on real tables of labels."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from results import labels, probabilities
from sklearn import metrics as sk

from soupxr.errors import ArgumentError
from soupxr.evaluation.scoring import VARIABLES, ScoredTrial, scores_dataset
from soupxr.modes import BEHAVIORS

#: At which the tables in seconds become frames.
RATE = 10.0


def trial(key, truth, prediction=None, probability=None, fps=500.0, thresholds=None):
    animal, session, _ = key.split("/")
    said = truth if prediction is None else prediction
    return ScoredTrial(animal, session, key, fps, truth, said, probability, thresholds)


@pytest.fixture
def trials():
    made = []
    for seed, key in enumerate(("M1/S1/1", "M1/S2/1", "M2/S1/1")):
        truth = labels(90, seed)
        truth[:7] = -1
        truth[20:30, 2] = -1
        probability = probabilities(truth, seed)
        prediction = (probability > 0.5).astype(np.int8)
        made.append(trial(key, truth, prediction, probability, thresholds=(0.5,) * 6))
    return made


def column(trials, k):
    """Labels, predictions and probabilities of one behavior where it is labelled."""
    truth, said, probability = (
        np.concatenate([getattr(t, name)[:, k] for t in trials])
        for name in ("truth", "prediction", "probability")
    )
    return truth[truth >= 0], said[truth >= 0], probability[truth >= 0]


def test_figures_are_those_of_scikit_learn_over_all_frames(trials):
    scores = scores_dataset(trials, BEHAVIORS)
    for k, name in enumerate(BEHAVIORS):
        truth, said, probability = column(trials, k)
        one = scores.sel(behavior=name)
        assert one.f1.item() == pytest.approx(sk.f1_score(truth, said))
        assert one.precision.item() == pytest.approx(sk.precision_score(truth, said))
        assert one.recall.item() == pytest.approx(sk.recall_score(truth, said))
        assert one.kappa.item() == pytest.approx(sk.cohen_kappa_score(truth, said))
        assert one.auroc.item() == pytest.approx(sk.roc_auc_score(truth, probability))
        wanted = sk.average_precision_score(truth, probability)
        assert one.average_precision.item() == pytest.approx(wanted)
        np.testing.assert_array_equal(one.confusion, sk.confusion_matrix(truth, said))
        assert (one.support, one.n_frames) == (truth.sum(), len(truth))
    assert scores.f1_mean.item() == pytest.approx(scores.f1.mean().item())


def test_background_is_what_no_behavior_leaves(trials):
    scores = scores_dataset(trials, BEHAVIORS)
    truth, said = (
        np.concatenate([getattr(t, name) for t in trials]) for name in ("truth", "prediction")
    )
    # Where a behavior occurs there is no background, whatever else is unlabelled.
    known = (truth >= 0).all(axis=1) | (truth == 1).any(axis=1)
    wanted = sk.f1_score(~(truth == 1).any(axis=1)[known], ~(said == 1).any(axis=1)[known])
    assert scores.f1_background.item() == pytest.approx(wanted)
    together = np.mean([*scores.f1.values, wanted])
    assert scores.f1_mean_with_background.item() == pytest.approx(together)


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("animal", ["M1", "M2"]),
        ("session", ["M1/S1", "M1/S2", "M2/S1"]),
        ("trial", ["M1/S1/1", "M1/S2/1", "M2/S1/1"]),
    ],
)
def test_groups_are_what_their_trials_give_alone(trials, by, groups):
    scores = scores_dataset(trials, BEHAVIORS, by=by)
    assert scores[by].values.tolist() == groups
    for group in groups:
        alone = scores_dataset([t for t in trials if t.key.startswith(group)], BEHAVIORS)
        one = scores.sel({by: group}, drop=True)
        xr.testing.assert_allclose(one, alone)
    assert all(scores[name].dims[0] == by for name in scores.data_vars)


def test_bouts_errors_and_their_milliseconds():
    truth, late = np.zeros((2, 40, 1), np.int8)
    truth[10:20] = 1
    late[12:23] = 1
    fast, slow = trial("M1/S1/1", truth, late, fps=500.0), trial("M1/S1/2", truth, late, fps=100.0)
    scores = scores_dataset([fast, slow], ["grab"]).sel(behavior="grab")
    assert (scores.n_bouts, scores.n_predicted_bouts, scores.n_matched_bouts) == (2, 2, 2)
    assert (scores.onset_error, scores.offset_error) == (2.0, 3.0)
    assert scores.onset_error_ms == pytest.approx((4 + 20) / 2)
    assert scores.offset_absolute_error_ms == pytest.approx((6 + 30) / 2)
    early = scores_dataset([trial("M1/S1/1", late, truth), fast], ["grab"]).sel(behavior="grab")
    assert (early.onset_error, early.onset_absolute_error) == (0.0, 2.0)
    assert scores_dataset([fast], ["grab"], overlap=0.9).bout_f1.item() == 0.0


def test_what_never_occurs_is_nan_without_a_word():
    nothing = np.zeros((50, 2), np.int8)
    nothing[10:20, 0] = 1
    probability = np.full((50, 2), 0.1, np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = scores_dataset([trial("M1/S1/1", nothing, nothing, probability)], ["lift", "chew"])
    chew = scores.sel(behavior="chew")
    for name in ("precision", "recall", "f1", "average_precision", "auroc", "kappa", "bout_f1"):
        assert np.isnan(chew[name]), name
    assert np.isnan(chew.temperature)
    assert chew.expected_calibration_error == pytest.approx(0.1)
    assert (scores.f1_mean, scores.n_behaviors_in_mean) == (1.0, 1)


def test_curves_go_through_the_prediction(trials):
    for t in trials:
        t.prediction[:] = t.probability > 0.0001 + 100 * (1 - 0.0001) / 199
    scores = scores_dataset(trials, BEHAVIORS)
    at = scores.isel(curve_threshold=100)
    np.testing.assert_allclose(at.curve_precision, scores.precision)
    np.testing.assert_allclose(at.curve_recall, scores.recall)


def test_a_threshold_is_told_where_trials_agree(trials):
    assert scores_dataset(trials, BEHAVIORS).threshold.values.tolist() == [0.5] * 6
    trials[0] = trial("M1/S1/1", labels(), thresholds=(0.4, *(0.5,) * 5))
    mixed = scores_dataset(trials, BEHAVIORS, by="animal").threshold
    np.testing.assert_array_equal(mixed.sel(behavior="lift"), [np.nan, 0.5])


def test_every_variable_says_what_it_is(trials):
    scores = scores_dataset(trials, BEHAVIORS)
    assert set(scores.data_vars) == set(VARIABLES)
    assert all({"long_name", "units"} <= set(array.attrs) for array in scores.values())


@pytest.mark.parametrize("by", [None, "session"])
def test_the_dataset_can_be_kept(trials, by, tmp_path):
    scores = scores_dataset(trials, BEHAVIORS, by=by, attrs={"prediction": "fast", "n_trials": 3})
    scores.to_netcdf(tmp_path / "scores.nc", engine="scipy")
    with xr.open_dataset(tmp_path / "scores.nc", engine="scipy") as back:
        np.testing.assert_allclose(back.f1, scores.f1)
        assert back.attrs["prediction"] == "fast"
        assert back.behavior.values.tolist() == list(BEHAVIORS)
    scores.to_zarr(tmp_path / "scores.zarr", consolidated=False)
    xr.testing.assert_equal(xr.open_zarr(tmp_path / "scores.zarr", consolidated=False), scores)


def test_arguments_of_no_use(trials):
    with pytest.raises(ArgumentError, match="by: expected None or one of"):
        scores_dataset(trials, BEHAVIORS, by="view")
    with pytest.raises(ArgumentError, match="overlap"):
        scores_dataset(trials, BEHAVIORS, overlap=0)
    with pytest.raises(ArgumentError, match="trials: expected at least one"):
        scores_dataset([], BEHAVIORS)


# ------------------------------------------------------------------ real tables


def bout_table(shared, name):
    table = pd.read_csv(shared / "data" / "labels" / name, sep=";")
    table = table[table["from"].notna() & table["to"].notna()]
    return table.assign(**{"from": table["from"].astype(float), "to": table["to"].astype(float)})


def mask_of(rows, behaviors, n_frames):
    mask = np.zeros((n_frames, len(behaviors)), np.int8)
    for k, name in enumerate(behaviors):
        for start, stop in rows.loc[rows.type == name, ["from", "to"]].to_numpy():
            mask[round(start * RATE) : round(stop * RATE), k] = 1
    return mask


def frames_of(rows, behavior):
    """The same frames, counted another way."""
    chosen = rows[rows.type == behavior]
    return {
        frame
        for start, stop in zip(chosen["from"], chosen["to"], strict=True)
        for frame in range(round(start * RATE), round(stop * RATE))
    }


@pytest.mark.parametrize(
    ("name", "behaviors"),
    [
        ("mouse_openfield_bouts.csv", ["Supported", "Unsupported", "Grooming"]),
        ("mouse_maze_bouts.csv", ["Head Dip", "Grooming", "Protected Stretch"]),
        ("mouse_swim_bouts.csv", ["Floating"]),
    ],
)
def test_raters_of_mice_agree_as_counted_independently(shared, name, behaviors):
    table = bout_table(shared, name)
    compared = 0
    for video in sorted(table.ID.unique())[:3]:
        rows = table[table["ID"].eq(video)]
        n_frames = int(rows["to"].max() * RATE) + 2
        raters = sorted(rows.Experimenter.unique())
        for one, other in combinations(raters, 2):
            of = [rows[rows.Experimenter == rater] for rater in (one, other)]
            truth, said = (mask_of(r, behaviors, n_frames) for r in of)
            scores = scores_dataset([trial(f"{video}/S1/1", truth, said, fps=RATE)], behaviors)
            for behavior in behaviors:
                a, b = (frames_of(r, behavior) for r in of)
                if not a and not b:
                    assert np.isnan(scores.f1.sel(behavior=behavior))
                    continue
                wanted = 2 * len(a & b) / (len(a) + len(b))
                assert scores.f1.sel(behavior=behavior).item() == pytest.approx(wanted)
                flat = [np.isin(np.arange(n_frames), list(frames)) for frames in (a, b)]
                kappa = scores.kappa.sel(behavior=behavior).item()
                assert kappa == pytest.approx(sk.cohen_kappa_score(*flat))
                compared += 1
    assert compared >= 3


def test_hand_and_rule_agree_on_62_percent_of_the_scored_frames(shared):
    hand, rule = (
        pd.read_csv(shared / "data" / "labels" / f"fly_frames_{name}.csv", index_col=0)
        for name in ("hand", "heuristic")
    )
    behaviors = [name for name in hand.columns if name != "background"]
    truth, said = hand[behaviors].to_numpy(np.int8), rule[behaviors].to_numpy(np.int8)
    truth[hand.background == 1] = -1
    scores = scores_dataset([trial("fly/S1/1", truth, said, fps=70.0)], behaviors)
    assert (scores.n_frames == 1956).all()
    assert scores.support.sum() == 1956
    hits = scores.confusion.sel(label="occurs", prediction="occurs").sum().item()
    assert round(hits / 1956, 2) == 0.62
    scored = (hand.background == 0).to_numpy()
    same = hand[scored].to_numpy().argmax(axis=1) == rule[scored].to_numpy().argmax(axis=1)
    assert hits == same.sum()
    for k, name in enumerate(behaviors):
        wanted = sk.f1_score(truth[scored, k], said[scored, k], zero_division=np.nan)
        np.testing.assert_allclose(scores.f1.sel(behavior=name), wanted)
