"""``check``: what is broken is found and told by trial; repair undoes it, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from results import annotate, labels, probabilities, put_result
from training_runs import LENGTH, put_features

import soupxr as sx
from soupxr.check import check_store
from soupxr.dataset import store_of
from soupxr.ingest import TrialRow
from soupxr.schema import Status
from soupxr.store import (
    ModelRecord,
    Store,
    TrialResults,
    add_model,
    add_trials,
    remove_trials,
    write_out_of_fold,
    zarrs,
)
from soupxr.store.leases import take
from soupxr.store.ondisk import ABANDONED_AFTER_S

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")
N = 30


@pytest.fixture
def ds(new_store):
    """Three trials: two with results, features and labels; one with nothing."""
    ds = new_store(*KEYS, n_frames=N)
    for seed, key in enumerate(KEYS[:2]):
        put_result(ds, key, probabilities(labels(N, seed), seed))
        ds = annotate(ds, key, labels(N, seed), "Ana")
    return ds


@pytest.fixture
def featured(new_store):
    """Two trials with features that a provenance vouches for, in a store of two behaviors."""
    ds = new_store(*KEYS[:2], n_frames=LENGTH, behaviors=("lift", "grab"))
    return put_features(ds, keys=KEYS[:2])


def chunks(ds, name):
    """Chunk files of an array, in order."""
    folder = Path(store_of(ds).address, name, "c")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def contents(ds):
    """Everything on disk, by name, but for who was at work on it."""
    root = Path(store_of(ds).address)
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.parent.name != "leases"
    }


def videos_of(ds, key):
    return store_of(ds).trial(key).video_paths


def told(result, severity="error"):
    """(trial, source, kind) of what was found."""
    table = result.findings
    table = table[table.severity == severity]
    return [
        ("/".join(map(str, (row.animal, row.session, row.trial_id))), row.source, row.kind)
        for row in table.itertuples()
    ]


def errors(ds, **options):
    return told(ds.soup.check(**{"videos": False, **options}))


def grow_old(place):
    """Let everything in a folder be of yesterday."""
    then = time.time() - 2 * ABANDONED_AFTER_S
    for path in (place, *place.rglob("*")):
        os.utime(path, (then, then))


def truncated(path):
    path.write_bytes(path.read_bytes()[:-3])


def garbage(path):
    path.write_bytes(b"\x93 no chunk at all " * 3)


def emptied(path):
    path.write_bytes(b"")


# ---------------------------------------------------------------- a sound store


def test_a_sound_store_is_well_and_untouched(ds):
    before = contents(ds)
    result = ds.soup.check(repair=True)
    assert result.ok
    assert told(result) == []
    assert result.counts == {"trials": 3, "results": 2, "labelled trials": 2, "videos": 6}
    assert contents(ds) == before


def test_an_empty_store_is_well(tmp_path):
    (tmp_path / "videos").mkdir()
    result = sx.create(tmp_path / "x.zarr", tmp_path / "videos").soup.check()
    assert result.ok
    assert result.findings.empty
    assert "all is well" in repr(result)


def test_what_inference_leaves_is_well(new_store, models):
    ds = new_store(*KEYS[:1]).soup.infer("fast", **models())
    result = ds.soup.check()
    assert result.findings.empty, repr(result)


def test_only_the_selection_is_looked_at(ds):
    garbage(chunks(ds, "probability")[0])
    assert errors(ds.sel(animal="M2")) == []
    assert errors(ds.sel(animal="M1", session="S1", trial_id=1)) != []
    assert ds.sel(animal="M1").soup.check(videos=False).counts["trials"] == 2


# ---------------------------------------------------------------- results


@pytest.mark.parametrize("damage", [truncated, garbage, emptied])
@pytest.mark.parametrize("name", ["probability", "ethogram", "provenance"])
def test_a_damaged_chunk_is_found_told_and_reset(ds, name, damage):
    whole = ds.sel(animal="M1", session="S1", trial_id=1, mode="fast").load()
    damage(chunks(ds, name)[1])
    result = ds.soup.check(videos=False)
    assert set(told(result)) == {("M1/S1/2", "fast", "result")}
    assert "M1/S1/2 fast" in repr(result)
    assert not result.ok

    repaired = ds.soup.check(videos=False, repair=True)
    assert repaired.ok
    assert repaired.findings.query("severity == 'error'").repaired.all()
    assert ds.soup.trials.fast.tolist() == ["complete", "none", "none"]
    assert errors(ds) == []
    now = ds.sel(animal="M1", session="S1", trial_id=1, mode="fast").load()
    assert now.identical(whole)


def test_a_result_that_lost_only_its_provenance_stays_on_disk(ds):
    before = ds.ethogram.sel(mode="fast").values
    garbage(chunks(ds, "provenance")[0])
    ds.soup.check(videos=False, repair=True)
    assert ds.soup.trials.fast[0] == "none"
    np.testing.assert_array_equal(ds.ethogram.sel(mode="fast"), before)


def test_half_a_result_is_thrown_away(ds):
    garbage(chunks(ds, "probability")[0])
    ds.soup.check(videos=False, repair=True)
    first = ds.isel(trial=0).sel(mode="fast")
    assert np.isnan(first.probability).all()
    assert (first.ethogram == -1).all()


@pytest.mark.parametrize(
    ("name", "where", "value", "said"),
    [
        ("probability", (slice(5, 9), 2), np.nan, "missing in 4 of 30 frames"),
        ("ethogram", (3, 0), -1, "missing in 1 of 30"),
        ("ethogram", (3, 0), 7, "other values"),
        ("probability", (0, 0), 1.5, "outside"),
    ],
)
def test_a_committed_result_with_gaps_is_found(ds, name, where, value, said):
    array = Store(store_of(ds).address).arrays[name]
    array[(0, 0, *where)] = value
    result = ds.soup.check(videos=False)
    assert told(result) == [("M1/S1/1", "fast", "result")]
    assert said in result.findings.problem[0]


def test_a_result_longer_than_its_trial_is_found(new_store):
    long, short = "M1/S1/1", "M1/S1/2"
    ds = new_store(long, short, n_frames=N)
    put_result(ds, short, probabilities(labels(N)))
    store = store_of(ds)
    store.arrays["n_frames"][1] = N - 4
    result = ds.soup.check(videos=False)
    assert told(result) == [(short, "fast", "result")] * 2
    assert "goes on for 4 frames" in result.findings.problem[0]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (Status.COMPLETE, "nothing says how it came about"),
        (Status.FEATURES, "nothing vouches"),
        (Status.FAILED, "nothing says why"),
        (9, "damaged"),
        (-7, "damaged"),
    ],
)
def test_a_mark_without_what_it_stands_for_is_found_and_taken_back(ds, status, said):
    store_of(ds).arrays["status"][0, 2] = int(status)
    result = ds.soup.check(videos=False)
    assert {found[0] for found in told(result)} == {"M2/S1/1"}
    assert any(said in problem for problem in result.findings.problem)
    ds.soup.check(videos=False, repair=True)
    assert ds.soup.trials.fast.tolist() == ["complete", "complete", "none"]
    assert errors(ds) == []


def test_an_empty_status_file_does_not_hide_the_other_trials(ds):
    marks = chunks(ds, "status")
    emptied(marks[0])
    garbage(chunks(ds, "ethogram")[1])
    assert {found[0] for found in errors(ds)} == {"M1/S1/1", "M1/S1/2"}
    ds.soup.check(videos=False, repair=True)
    assert ds.soup.trials.fast.tolist() == ["none"] * 3


@pytest.mark.parametrize("text", ["{", "[]", '"x"', '{"features": 3}', '{"sequence": {"a": 1}}'])
def test_provenance_that_is_no_record_is_found(ds, text):
    store_of(ds).arrays["provenance"][0, 0] = text
    assert ("M1/S1/1", "fast", "result") in errors(ds)
    ds.soup.check(videos=False, repair=True)
    assert errors(ds) == []


def test_a_failed_trial_is_as_it_should_be(ds):
    TrialResults(store_of(ds), "fast", KEYS[2]).fail("the video is missing")
    assert errors(ds) == []
    ds.soup.check(videos=False, repair=True)
    assert ds.soup.trials.fast[2] == "failed"
    assert ds.error.sel(mode="fast").values[2] == "the video is missing"


def decide_and_die(ds, key):
    """Begin to apply new thresholds; the process dies once the ethogram is written."""
    results = TrialResults(store_of(ds), "fast", key)

    def die(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrialResults, "_say", die)
        with pytest.raises(KeyboardInterrupt):
            results.decide_anew(np.ones((N, 6), np.int8), results.provenance)


def test_thresholds_half_applied_are_a_warning_and_stay(ds):
    decide_and_die(ds, KEYS[0])
    before = contents(ds)
    result = ds.soup.check(videos=False, repair=True)
    assert told(result) == []
    assert (KEYS[0], "fast", "result") in told(result, "warning")
    assert "optimize_thresholds or infer finishes it" in str(result.warnings[0])
    assert contents(ds) == before


def test_thresholds_half_applied_to_damaged_probabilities_are_reset(ds):
    decide_and_die(ds, KEYS[0])
    garbage(chunks(ds, "probability")[0])
    assert errors(ds) == [(KEYS[0], "fast", "result")]
    ds.soup.check(videos=False, repair=True)
    assert ds.soup.trials.fast.tolist() == ["none", "complete", "none"]


def replace_and_die(ds, key, seed, at):
    """Begin to replace a result; the process dies at one of the result's methods."""

    def die(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrialResults, at, die)
        with pytest.raises(KeyboardInterrupt):
            put_result(ds, key, probabilities(labels(N, seed), seed))


def results_told(result):
    """Warnings of results, not of models that are unknown."""
    return [one for one in told(result, "warning") if one[2] != "checkpoint"]


def test_a_result_that_is_half_replaced_is_a_warning_and_finished(ds):
    replace_and_die(ds, KEYS[0], 5, "_say")
    assert errors(ds) == []
    result = ds.soup.check(videos=False)
    assert results_told(result) == [(KEYS[0], "fast", "result")]
    assert "infer finishes it at once" in str(result.warnings[0])
    assert ds.soup.trials.fast.tolist() == ["replacing", "complete", "none"]
    ds.soup.check(videos=False, repair=True)
    assert results_told(ds.soup.check(videos=False)) == []
    assert ds.soup.trials.fast.tolist() == ["complete", "complete", "none"]
    found = sx.open(store_of(ds).address).probability.sel(mode="fast").values[0]
    np.testing.assert_array_equal(found, probabilities(labels(N, 5), 5))


def test_a_result_that_is_half_replaced_by_damage_is_reset(ds):
    replace_and_die(ds, KEYS[0], 5, "_say")
    garbage(chunks(ds, "replacement/fast/probability")[0])
    assert errors(ds) == [(KEYS[0], "fast", "result")]
    ds.soup.check(videos=False, repair=True)
    assert ds.soup.trials.fast.tolist() == ["none", "complete", "none"]
    assert chunks(ds, "replacement/fast/probability") == []


def test_a_new_result_that_never_came_to_count_is_removed_once_it_is_old(ds):
    replace_and_die(ds, KEYS[0], 5, "_mark")
    before = sx.open(store_of(ds).address).probability.values
    assert results_told(ds.soup.check(videos=False)) == []
    grow_old(Path(store_of(ds).address, "replacement"))
    assert results_told(ds.soup.check(videos=False)) == [(KEYS[0], "fast", "leftover")]
    ds.soup.check(videos=False, repair=True)
    assert results_told(ds.soup.check(videos=False)) == []
    assert chunks(ds, "replacement/fast/probability") == []
    np.testing.assert_array_equal(sx.open(store_of(ds).address).probability.values, before)


def test_a_run_at_the_same_moment_keeps_what_it_makes(ds, monkeypatch):
    """The trial is made anew between the look and the repair."""
    garbage(chunks(ds, "probability")[0])
    result = check_store(store_of(ds).address, videos=False)
    (finding,) = {one.repair: one for one in result.errors}.values()
    put_result(ds, KEYS[0], probabilities(labels(N, 5), 5))
    after = contents(ds)
    assert finding.repair()
    assert contents(ds) == after


@pytest.mark.parametrize("number", range(8))
def test_trials_that_come_at_the_same_moment_are_no_damage(ds, monkeypatch, number):
    slots, left = Store.slot_of_each_key, [number]

    def slot_of_each_key(store):
        left[0] -= 1
        if left[0] == -1:
            zarrs._array_at.cache_clear()  # another process has opened arrays of its own
            new = TrialRow("M9", "S1", 1, ("M9/side.mp4", "M9/front.mp4"), 3000, 500.0)
            add_trials(store.address, [new])
        return slots(store)

    monkeypatch.setattr(Store, "slot_of_each_key", slot_of_each_key)
    assert ds.soup.check(videos=False).ok


def test_a_trial_that_is_being_redone_is_not_told_of(ds, monkeypatch):
    """A run marks it as not done, and writes over it, after its mark was read."""
    from soupxr.check import look

    read = look.statuses_of

    def begin_after(store, mode, slots):
        statuses = read(store, mode, slots)
        store.arrays["status"][0, 0] = 0
        store.arrays["probability"][0, 0, 3:9] = np.nan
        return statuses

    monkeypatch.setattr(look, "statuses_of", begin_after)
    assert errors(ds) == []


def test_a_writer_that_began_before_the_repair_gives_up(ds):
    """Whoever saw the trial before it was reset must not mark it complete afterwards."""
    writer = TrialResults(store_of(ds), "fast", KEYS[0])
    garbage(chunks(ds, "probability")[0])
    ds.soup.check(videos=False, repair=True)
    with pytest.raises(sx.StoreError, match="another process"):
        writer.commit(np.zeros((N, 6), np.float32), np.zeros((N, 6), np.int8), "{}")
    assert ds.soup.trials.fast[0] == "none"


@pytest.mark.parametrize("left", range(1, 6))
def test_a_repair_that_is_killed_shows_nothing_half_done(ds, monkeypatch, left):
    from soupxr.store import repair as module

    class Killed(BaseException):
        pass

    write, writes = module.write, [left]

    def mortal(*arguments):
        writes[0] -= 1
        if writes[0] < 0:
            raise Killed
        write(*arguments)

    garbage(chunks(ds, "probability")[0])
    monkeypatch.setattr(module, "write", mortal)
    with pytest.raises(Killed):
        ds.soup.check(videos=False, repair=True)
    monkeypatch.undo()
    assert ds.soup.trials.fast.tolist() == ["none", "complete", "none"]
    assert ds.soup.check(videos=False, repair=True).ok
    assert errors(ds) == []


# ---------------------------------------------------------------- features


@pytest.mark.parametrize("name", ["spatial", "flow", "logit"])
@pytest.mark.parametrize("damage", [truncated, garbage, Path.unlink])
def test_broken_features_are_found_told_and_forgotten(featured, name, damage):
    damage(chunks(featured, f"features/fast/{name}")[0])
    result = featured.soup.check(videos=False)
    assert told(result) == [("M1/S1/1", "fast", "features")]
    assert name in result.findings.problem[0]
    assert featured.soup.check(videos=False, repair=True).ok
    assert featured.soup.trials.fast.tolist() == ["none", "features"]
    assert np.isnan(featured.soup.features("fast").isel(trial=0).to_array()).all()
    assert featured.soup.check(videos=False).findings.query("kind != 'checkpoint'").empty


@pytest.mark.parametrize("damage", [truncated, Path.unlink])
def test_a_quick_look_sees_that_files_are_missing_or_short(featured, damage):
    damage(chunks(featured, "features/fast/spatial")[1])
    assert errors(featured, quick=True) == [("M1/S1/2", "fast", "features")]


def test_a_quick_look_finds_sound_features_well(featured):
    assert errors(featured, quick=True) == []


def test_a_result_outlives_the_features_it_was_made_of(featured):
    store = store_of(featured)
    record = json.loads(TrialResults(store, "fast", KEYS[0]).provenance)
    sequence = {"identity": {"sequence_model": "s"}, "features": record["features"]["identity"]}
    probability = np.full((LENGTH, 2), 0.75, np.float32)
    TrialResults(store, "fast", KEYS[0]).commit(
        probability, np.ones((LENGTH, 2), np.int8), json.dumps(record | {"sequence": sequence})
    )
    garbage(chunks(featured, "features/fast/flow")[0])
    featured.soup.check(videos=False, repair=True)
    assert featured.soup.trials.fast[0] == "complete"
    np.testing.assert_array_equal(featured.probability.sel(mode="fast")[0], probability)
    assert errors(featured) == []


def test_a_broken_result_leaves_its_features(featured):
    store = store_of(featured)
    record = json.loads(TrialResults(store, "fast", KEYS[0]).provenance)
    sequence = {"identity": {}, "features": record["features"]["identity"]}
    TrialResults(store, "fast", KEYS[0]).commit(
        np.full((LENGTH, 2), 0.75, np.float32),
        np.ones((LENGTH, 2), np.int8),
        json.dumps(record | {"sequence": sequence}),
    )
    garbage(chunks(featured, "ethogram")[0])
    featured.soup.check(videos=False, repair=True)
    assert featured.soup.trials.fast.tolist() == ["features", "features"]
    assert not np.isnan(featured.soup.features("fast").isel(trial=0).spatial[:LENGTH]).any()


def test_features_of_a_killed_run_are_left_over_once_nobody_writes_them(featured):
    results = TrialResults(store_of(featured), "fast", KEYS[0])
    folder = Path(store_of(featured).address, "features/fast/logit/c/0")
    kept = {path: path.read_bytes() for path in chunks(featured, "features/fast/logit")[:1]}
    results.start_features('{"features": null, "sequence": null, "claim": "x"}')
    for path, data in kept.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert told(featured.soup.check(videos=False), "warning") == []
    grow_old(folder)
    result = featured.soup.check(videos=False)
    assert told(result, "warning") == [(KEYS[0], "fast", "leftover")]
    assert result.ok
    featured.soup.check(videos=False, repair=True)
    assert not [path for path in kept if path.exists()]
    assert featured.soup.trials.fast.tolist() == ["none", "features"]


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize("damage", [truncated, garbage, emptied])
def test_damaged_labels_are_told_and_never_touched(ds, damage):
    path = chunks(ds, "annotation")[0]
    damage(path)
    before = contents(ds)
    result = ds.soup.check(videos=False, repair=True)
    assert told(result) == [("M1/S1/1", "Ana", "annotation")]
    assert not result.ok
    assert not result.findings.query("severity == 'error'").repairable.any()
    assert contents(ds) == before


def test_labels_that_are_no_labels_are_told(ds):
    store_of(ds).arrays["annotation"][0, 1, 3, 0] = 5
    assert errors(ds) == [("M1/S1/2", "Ana", "annotation")]


def test_labels_of_a_killed_writer_are_left_over(ds):
    address = store_of(ds).address
    annotation = Store(address).arrays["annotation"]
    annotation.resize((2, *annotation.shape[1:]))
    annotation[1, 0, :4] = 1
    result = ds.soup.check(videos=False)
    assert "leftover" in result.findings.kind.tolist()
    assert "without a name" in repr(result)


@pytest.mark.thorough
@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_repair_never_touches_labels_nor_whole_results(data, damaged):
    """Whatever happens to one file of a store, the labels and the other trial's result stay."""
    folder, shelf = damaged
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(shelf, folder)
    store = folder / "reach.zarr"
    names = ("status", "provenance", "probability", "ethogram", "error")
    files = sorted(
        p for name in names for p in (store / name / "c" / "0").rglob("*") if p.is_file()
    )
    path = data.draw(st.sampled_from(files).map(lambda p: p.relative_to(store))).as_posix()
    victim = store / path
    old = victim.read_bytes()
    new = data.draw(
        st.one_of(
            st.integers(0, max(0, len(old) - 1)).map(lambda n: old[:n]), st.binary(max_size=40)
        )
    )
    victim.write_bytes(new)
    slot = int(path.split("/")[3])
    before = sx.open(store).isel(trial=[1 - slot]).load()
    labelled = sx.open(store).annotation.values
    check_store(str(store), videos=False, repair=True)
    assert check_store(str(store), videos=False).ok
    after = sx.open(store)
    assert after.isel(trial=[1 - slot]).load().identical(before)
    np.testing.assert_array_equal(after.annotation, labelled)
    if after.soup.trials.fast[slot] == "complete":
        probability = after.probability.sel(mode="fast")[slot, :N].values
        assert ((probability >= 0) & (probability <= 1)).all()


@pytest.fixture(scope="module")
def damaged(tmp_path_factory, film):
    shelf = tmp_path_factory.mktemp("shelf")
    for trial in (1, 2):
        for view in ("side", "front"):
            film(shelf / "videos/M1/S1" / f"reach_{view}_v{trial:03d}.mp4", n_frames=N)
    ds = sx.create(shelf / "reach.zarr", shelf / "videos").soup.add_item("M1", progress=False)
    for seed, key in enumerate(KEYS[:2]):
        put_result(ds, key, probabilities(labels(N, seed), seed))
        ds = annotate(ds, key, labels(N, seed), "Ana")
    return tmp_path_factory.mktemp("damaged") / "copy", shelf


def test_broken_cross_validation_is_withdrawn(ds):
    address = store_of(ds).address
    for key in KEYS[:2]:
        write_out_of_fold(address, "fast", key, 0, np.full((N, 6), 0.5, np.float32))
    assert errors(ds) == []
    garbage(chunks(ds, "out_of_fold/fast/probability")[0])
    assert errors(ds) == [("M1/S1/1", "fast", "out of fold")]
    assert ds.soup.check(videos=False, repair=True).ok
    assert Store(address).optional("out_of_fold/fast")["fold"][...].tolist()[:2] == [-1, 0]


# ---------------------------------------------------------------- videos and models


def test_a_missing_video_is_told_by_trial(ds, tmp_path):
    (tmp_path / "videos/M1/S1/reach_front_v002.mp4").unlink()
    result = ds.soup.check(repair=True)
    assert told(result) == [("M1/S1/2", "", "video")]
    assert "reach_front_v002.mp4" in repr(result)
    assert ds.soup.trials.fast.tolist() == ["complete", "complete", "none"]
    assert ds.soup.check(videos=False).ok


def test_a_repair_that_has_to_wait_too_long_holds_up_no_other(ds, monkeypatch):
    monkeypatch.setattr("soupxr.check.results.WAIT_S", 0.0)
    for path in chunks(ds, "probability"):
        path.write_bytes(b"garbage")
    with take(store_of(ds).address, "fast of M1/S1/1"):
        result = ds.soup.check(repair=True)
    assert [one.trial for one in result.errors] == [("M1", "S1", 1)]
    assert "not repaired: StoreError:" in repr(result)
    assert ds.status.sel(mode="fast").values.tolist() == [Status.COMPLETE, 0, 0]
    assert ds.soup.check(repair=True).ok


def test_a_checkpoint_that_cannot_be_read_is_a_finding(new_store, models, monkeypatch):
    ds = new_store(*KEYS[:1]).soup.infer("fast", **models())

    def forbidden(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("soupxr.check.surroundings._digest", forbidden)
    result = ds.soup.check()
    assert {one.kind for one in result.warnings} == {"checkpoint"}
    assert "cannot be read (PermissionError" in repr(result)


def test_videos_that_are_all_away_are_told_once(ds, tmp_path):
    (tmp_path / "videos").rename(tmp_path / "elsewhere")
    (found,) = ds.soup.check().errors
    assert (found.kind, found.trial) == ("video", None)
    assert str(tmp_path / "videos") in found.problem
    with sx.set_options(data_root=tmp_path / "elsewhere"):
        assert ds.soup.check().ok


def test_a_video_of_two_trials_is_told(ds):
    add_trials(store_of(ds).address, [TrialRow("M9", "S1", 1, videos_of(ds, "M1/S1/1"), N, 100.0)])
    result = sx.open(store_of(ds).address).soup.check()
    assert [one.trial for one in result.warnings if one.kind == "video"] == [("M9", "S1", 1)]
    assert "its video is also that of M1/S1/1" in repr(result)


def test_a_server_of_videos_that_does_not_answer_is_a_finding(ds):
    with sx.set_options(data_root="http://127.0.0.1:1/videos"):
        result = ds.soup.check()
    assert {one.kind for one in result.errors} == {"video"}
    assert {"/".join(map(str, one.trial)) for one in result.errors} == set(KEYS)


def test_a_video_of_another_length_is_told(ds, tmp_path, film):
    for view in ("side", "front"):
        film(tmp_path / f"videos/M2/S1/reach_{view}_v001.mp4", n_frames=N - 4)
    result = ds.soup.check()
    assert told(result) == [("M2/S1/1", "", "video")]
    assert f"has {N - 4} frames" in repr(result)
    assert f"had {N} at" in repr(result)


def test_another_video_of_the_same_length_is_told(new_store, models, tmp_path):
    ds = new_store(*KEYS[:2]).soup.infer("fast", **models())
    videos = tmp_path / "videos/M1/S1"
    shutil.copyfile(videos / "reach_side_v002.mp4", videos / "reach_side_v001.mp4")
    result = ds.soup.check()
    assert result.ok
    assert told(result, "warning") == [("M1/S1/1", "fast", "video")]


def test_a_checkpoint_that_is_missing_or_changed_is_a_warning(ds, new_store, models, tmp_path):
    mine = {name: shutil.copy(path, tmp_path) for name, path in models().items()}
    ds = new_store(*KEYS[:1], name="own.zarr").soup.infer("fast", **mine)
    assert ds.soup.check().findings.empty
    Path(mine["sequence_model_in"]).unlink()
    with Path(mine["feature_model_in"]).open("ab") as file:
        file.write(b"more")
    result = ds.soup.check(repair=True)
    assert result.ok
    assert told(result, "warning") == [("//<NA>", "", "checkpoint")] * 2
    assert "is missing; 1 result(s) were made with it" in repr(result)
    assert "has changed" in repr(result)


def test_a_model_of_the_store_is_known_by_its_digest_wherever_it_lies(ds, tmp_path):
    file = tmp_path / "best.ckpt"
    file.write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    add_model(
        store_of(ds).address,
        ModelRecord("fast", "sequence", str(file), sha256, "2026-01-01", "f1_mean", 0.5),
    )
    for key in KEYS[:2]:
        put_result(ds, key, probabilities(labels(N)), model=sha256)  # which name another path
    assert ds.soup.check(videos=False).findings.empty


# ---------------------------------------------------------------- what is left over


def test_data_of_a_removed_trial_is_found_and_freed(ds, monkeypatch):
    from soupxr.store import membership

    monkeypatch.setattr(membership, "_clear", lambda *_: None)  # it was killed there
    remove_trials(store_of(ds).address, [KEYS[0]])
    monkeypatch.undo()
    result = check_store(store_of(ds).address, videos=False)
    assert result.ok
    assert "1 place(s) without a trial" in repr(result)
    assert check_store(store_of(ds).address, videos=False, repair=True).findings.repaired.any()
    assert "place(s)" not in repr(check_store(store_of(ds).address, videos=False))
    left = sx.open(store_of(ds).address)
    assert left.soup.trials.fast.tolist() == ["complete", "none"]
    assert (left.annotation.sel(annotator="Ana")[0, :N] >= 0).all()


def test_what_killed_writers_left_is_found_and_removed_once_it_is_old(ds):
    store = Path(store_of(ds).address)
    workplace = store.with_name(f".{store.name}.x1y2") / store.name
    workplace.mkdir(parents=True)
    partial = store / "status/c/0/1.abc.partial"
    partial.write_bytes(b"?")
    take(str(store), "fast of M1/S1/1").release()
    note, lock = store / "leases/.0123abcd", store / "leases/.lock"
    for file in (note, lock):
        file.write_text("{}")
    assert "unfinished" not in repr(ds.soup.check(videos=False, repair=True))
    assert partial.exists()
    grow_old(workplace.parent)
    for file in (partial, note, lock):
        grow_old(file)
    assert "unfinished" in repr(ds.soup.check(videos=False))
    ds.soup.check(videos=False, repair=True)
    assert not partial.exists()
    assert not note.exists()
    assert lock.exists()
    assert not workplace.parent.exists()
    assert (store.parent / "videos").is_dir()


# ---------------------------------------------------------------- the table


def test_a_column_that_cannot_be_read_is_told_even_where_the_store_cannot_be_opened(ds):
    garbage(chunks(ds, "animal")[0])
    result = check_store(store_of(ds).address)
    assert not result.ok
    assert "'animal' cannot be read" in repr(result)


def test_a_description_that_cannot_be_read_is_told(ds):
    garbage(Path(store_of(ds).address, "status/zarr.json"))
    result = check_store(store_of(ds).address, repair=True)
    assert told(result) == [("//<NA>", "", "schema")]
    assert "description of an array cannot be read" in repr(result)


@pytest.mark.parametrize("path", ["features/slow/logit", "replacement/slow/ethogram"])
def test_a_group_that_cannot_be_opened_is_told_and_its_mode_passed_by(ds, path):
    """Everything else is looked at all the same."""
    address = Path(store_of(ds).address)
    (address / path).mkdir(parents=True, exist_ok=True)
    if path.startswith("replacement"):
        for group in ("replacement", "replacement/slow"):
            shutil.copy(address / "features/slow/zarr.json", address / group)
    garbage(address / path / "zarr.json")
    garbage(address / "probability/c/0/0/0/0")
    result = check_store(str(address))
    assert told(result)[0] == ("//<NA>", "", "schema")
    assert f"{path.rpartition('/')[0]} cannot be opened" in repr(result)
    assert ("M1/S1/1", "fast", "result") in told(result)


@pytest.mark.parametrize("names", [None, ["trial", "frame"], ["frame", "trial", "class"]])
def test_a_group_along_other_dimensions_is_told(ds, names):
    path = Path(store_of(ds).address, "features/slow/logit/zarr.json")
    facts = json.loads(path.read_text())
    facts["dimension_names"] = names
    if names is None or len(names) == 3:
        path.write_text(json.dumps(facts))
    else:
        path.write_text(json.dumps({**facts, "shape": [2, 12], "dimension_names": names}))
    result = check_store(store_of(ds).address, videos=False)
    assert told(result) == [("//<NA>", "", "schema")]
    with pytest.raises(sx.StoreError, match=r"features/slow/logit.*damaged"):
        ds.soup.remove_item("M1", "S1", 1)


@pytest.mark.parametrize("label", ["../../elsewhere", "fa\0st", ""])
def test_a_mode_that_is_none_is_told(ds, label):
    """It would name a folder."""
    store_of(ds).arrays["mode"][0] = label
    ds = sx.open(store_of(ds).address)
    assert "column 'mode' cannot be read" in repr(ds.soup.check())
    for call in (lambda: ds.soup.trials, lambda: ds.soup.remove_item("M1")):
        with pytest.raises(sx.StoreError, match="mode: the store is damaged here: expected some"):
            call()


def test_a_key_that_its_columns_contradict_is_told(ds):
    arrays = store_of(ds).arrays
    arrays["trial_id"][0] = 77
    arrays["video_path"][1, 0] = "../../etc/passwd"
    result = check_store(store_of(ds).address, videos=False)
    assert [found[2] for found in told(result)] == ["schema", "schema"]
    assert "M1/S1/77" in repr(result)
    assert "below data_root" in repr(result)


def test_chunks_that_trials_share_are_told(ds):
    address = Path(store_of(ds).address)
    facts = json.loads((address / "status/zarr.json").read_text())
    facts["chunk_grid"]["configuration"]["chunk_shape"] = [1, 8]
    (address / "status/zarr.json").write_text(json.dumps(facts))
    result = check_store(str(address), videos=False)
    assert "lose each other's results" in repr(result)


def test_what_is_no_store_is_refused(tmp_path):
    (tmp_path / "x.zarr").mkdir()
    with pytest.raises(sx.StoreError, match="expected a soupxr store"):
        check_store(str(tmp_path / "x.zarr"))


def test_many_findings_are_told_in_a_few_lines(tmp_path, new_store):
    from soupxr.ingest import TrialRow

    ds = new_store()
    address = store_of(ds).address
    rows = [TrialRow("M1", "S1", n, ("a.mp4", "b.mp4"), 5, 100.0) for n in range(60)]
    add_trials(address, rows)
    status = Store(address).arrays["status"]
    status[0, :] = 3
    result = check_store(address, videos=False)
    assert len(result.findings) == 60
    assert len(repr(result).splitlines()) < 30
    assert "40 more" in repr(result)
    assert "60 of these can be put right by repair" in repr(result)
