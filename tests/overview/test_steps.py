"""Calls that ``ds.soup`` proposes: they are the ones that work on the selection as it is."""

from __future__ import annotations

import pytest
from results import annotate, labels, probabilities, put_result

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.overview.facts import overview
from soupxr.overview.steps import ENOUGH, steps
from soupxr.schema import Status
from soupxr.store import ModelRecord, add_model

KEYS = ("M1/S1/1", "M1/S1/2", "M1/S1/3")
N = 60
#: They would fetch published models, learn for long or wait for a browser.
LONG = ("infer(", ".train(")


def calls(ds) -> list[str]:
    return [call for call, _ in steps(overview(ds))]


def run_all(ds) -> list[str]:
    """Make every call that is proposed; those that take long are only looked up."""
    proposed = calls(ds)
    for call in proposed:
        text = call.partition(" = ")[2] or call
        if any(name in text for name in LONG):
            text = text[: text.rindex("(")]
        eval(text, {"ds": ds, "sx": sx})
    return proposed


@pytest.fixture
def ds(new_store):
    """Trials of the published task, in whose videos nothing has been looked for yet."""
    return new_store(*KEYS, n_frames=N)


@pytest.fixture
def other(tmp_path, lab):
    """Behaviors that no published model knows."""
    videos = lab(*KEYS, n_frames=N)
    ds = sx.create(tmp_path / "own.zarr", videos, behaviors=("groom", "rear"))
    return ds.soup.add_item("M1")


def label(ds, *keys, annotator="Ana"):
    for seed, key in enumerate(keys):
        mask = labels(N, seed, behaviors=ds.behavior.values)
        ds = annotate(ds, key, mask, annotator)
    return ds


def test_where_models_are_published_they_are_proposed(ds):
    assert run_all(ds)[0] == 'ds = ds.soup.infer(mode="fast")'


def test_where_none_fit_nobody_is_told_to_infer(other):
    assert run_all(other) == ["ds.soup.manual_ethograms()"]
    with pytest.raises(sx.ArgumentError, match="no default models"):
        other.soup.infer(mode="fast")


def test_trials_without_a_kind_of_experiment_have_no_published_models(tmp_path, lab):
    ds = sx.create(tmp_path / "plain.zarr", lab(*KEYS, n_frames=N)).soup.add_item("M1")
    assert run_all(ds) == ["ds.soup.manual_ethograms()"]


def test_labels_lead_to_training_once_they_are_enough(other):
    few = label(other, *KEYS[: ENOUGH - 1])
    assert run_all(few) == ["ds.soup.manual_ethograms()", "ds.soup.bouts(annotator='Ana')"]
    enough = label(few, KEYS[-1], annotator="Ben")
    assert run_all(enough)[0] == "ds.soup.manual_ethograms()"
    enough = annotate(few, KEYS[-1], labels(N, behaviors=("groom", "rear")), "Ana")
    assert run_all(enough)[0] == 'ds.soup.flow_generator.train("fast")'


def test_training_needs_as_many_as_are_said_to_be_enough():
    from soupxr.training.split import LEAST_TRIALS

    assert ENOUGH == LEAST_TRIALS


def learnt(ds, tmp_path, kind):
    """Let the store know a model of its own."""
    path = tmp_path / f"{kind}.ckpt"
    path.touch()
    address = store_of(ds).address
    record = ModelRecord("medium", kind, str(path), "0" * 64, "2026-01-01", "f1_mean", 0.5)
    add_model(address, record)
    return sx.open(address)


def test_the_three_models_are_trained_one_after_the_other(other, tmp_path):
    ds = learnt(label(other, *KEYS), tmp_path, "flow_generator")
    assert run_all(ds)[0] == "ds.soup.feature_extractor.train(\"medium\", annotator='Ana')"
    ds = learnt(ds, tmp_path, "feature_extractor")
    assert run_all(ds)[0] == 'ds = ds.soup.feature_extractor.infer("medium")'
    arrays = store_of(ds).arrays
    mode = ds.mode.values.tolist().index("medium")
    arrays["status"][mode] = Status.FAILED
    assert 'ds = ds.soup.feature_extractor.infer("medium")' in run_all(ds)
    arrays["status"][mode] = Status.FEATURES
    assert run_all(ds)[0] == "ds.soup.sequence.train(\"medium\", annotator='Ana')"
    # One whose video is broken does not hold up the others.
    arrays["status"][mode, 0] = Status.FAILED
    assert "ds.soup.sequence.train(\"medium\", annotator='Ana')" in run_all(ds)
    arrays["status"][mode, 0] = Status.FEATURES
    ds = learnt(ds, tmp_path, "sequence")
    assert run_all(ds)[0] == 'ds = ds.soup.infer(mode="medium")'
    (tmp_path / "sequence.ckpt").unlink()
    assert run_all(ds)[0] == "ds.soup.sequence.train(\"medium\", annotator='Ana')"


def test_scores_are_proposed_where_labels_and_ethograms_meet(ds):
    put_result(ds, KEYS[0], probabilities(labels(N)))
    apart = label(ds, KEYS[1])
    assert "ds.soup.evaluate('fast', 'Ana')" not in run_all(apart)
    assert 'ds.soup.clean_ethograms(mode="fast")' in calls(apart)
    together = label(apart, KEYS[0], annotator="Ben")
    assert "ds.soup.evaluate('fast', 'Ben')" in run_all(together)


def test_failures_are_asked_about_first(ds):
    put_result(ds, KEYS[0], probabilities(labels(N)))
    store_of(ds).arrays["status"][0, 1] = Status.FAILED
    assert run_all(ds)[:2] == [
        'ds.error.sel(mode="fast").values',
        'ds = ds.soup.infer(mode="fast")',
    ]


def test_of_one_trial_the_frames_are_proposed(ds):
    assert "ds.soup.video()" in run_all(ds.isel(trial=[0]))
    assert calls(ds.isel(trial=[])) == ["sx.open(…)"]
