"""``infer`` on small films: right, resumable, honest about what failed."""

import json
import shutil
import warnings

import dask
import numpy as np
import pytest
from processes import PROCESSES
from reference import infer_plainly, select

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.inference.engine import FeatureEngine
from soupxr.models import checkpoint
from soupxr.store import Store, TrialResults
from soupxr.store.zarrs import write

SIZE = (32, 32)
TRIALS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")


def provenance(ds, key, mode="fast"):
    return json.loads(select(ds, key, mode).provenance.item())


@pytest.fixture
def extracted(monkeypatch):
    """Counts the frames that go through the networks."""
    seen = []
    forward = FeatureEngine._forward

    def counting(self, frames, every):
        seen.append((len(frames) - self.network.window) // every + 1)
        return forward(self, frames, every)

    monkeypatch.setattr(FeatureEngine, "_forward", counting)
    return seen


def test_equals_a_plain_loop(new_store, models):
    """185 frames: two windows of the sequence model, several batches and dask blocks."""
    ds = new_store("M1/S1/1", n_frames=185)
    ds = ds.soup.infer("fast", **models())
    assert ds.status.values.tolist() == [[2], [0], [0]]
    one = select(ds, "M1/S1/1")
    probability, ethogram = infer_plainly(one.soup.video().values, models(), SIZE)
    np.testing.assert_allclose(one.probability, probability, atol=2e-5)
    np.testing.assert_array_equal(one.ethogram, ethogram)


def test_a_dataset_opened_before_sees_the_results_after(new_store, models):
    ds = new_store("M1/S1/1")
    assert (ds.ethogram == -1).all()
    ds.soup.infer("fast", **models())
    assert (ds.ethogram.sel(mode="fast") != -1).all()


def test_a_selection_is_inferred_alone(new_store, models):
    ds = new_store(*TRIALS)
    ds.sel(animal="M2").soup.infer("fast", **models())
    assert ds.status.sel(mode="fast").values.tolist() == [0, 0, 2]
    ds.sel(animal="M1", session="S1", trial_id=2).soup.infer("fast", **models())
    assert ds.status.sel(mode="fast").values.tolist() == [0, 2, 2]
    back = ds.unstack("trial").sel(animal=["M1"]).soup.infer("fast", **models())
    assert ds.status.sel(mode="fast").values.tolist() == [2, 2, 2]
    assert back.sizes["trial"] == 2


def test_a_damaged_mark_counts_as_none(new_store, models, tmp_path):
    ds = new_store(*TRIALS)
    ds.isel(trial=[0]).soup.infer("fast", **models())
    (tmp_path / "reach.zarr/status/c/0/0").write_bytes(bytes([77]))
    ds = ds.soup.infer("fast", **models())
    assert ds.status.sel(mode="fast").values.tolist() == [2, 2, 2]


@pytest.mark.parametrize("damage", [b"garbage", None])
def test_a_damaged_provenance_holds_up_no_other_trial(new_store, models, tmp_path, damage):
    ds = new_store(*TRIALS)
    ds.isel(trial=[0]).soup.infer("fast", **models())
    if damage is None:
        write(store_of(ds).arrays["provenance"], (0, 0), "[1, 2]")
    else:
        (tmp_path / "reach.zarr/provenance/c/0/0").write_bytes(damage)
    for _ in range(2):
        with pytest.warns(sx.SoupWarning, match=r"M1/S1/1\. Run ds\.soup\.check\(repair=True\)"):
            ds = ds.soup.infer("fast", **models())
        assert ds.status.sel(mode="fast").values.tolist() == [2, 2, 2]
    assert ds.soup.check(repair=True).ok
    assert ds.status.sel(mode="fast").values.tolist() != [2, 2, 2]
    ds = ds.soup.infer("fast", **models())
    assert ds.status.sel(mode="fast").values.tolist() == [2, 2, 2]
    assert ds.soup.check().ok


@pytest.mark.parametrize("name", ["spatial", "flow", "logit"])
def test_features_that_were_lost_in_part_are_told(new_store, models, tmp_path, name):
    ds = new_store(*TRIALS[:1])
    ds.soup.infer("fast", **models())
    (chunk,) = (tmp_path / f"reach.zarr/features/fast/{name}/c/0").rglob("0/0")
    chunk.unlink()
    sequence = models()["sequence_model_in"]
    with pytest.raises(sx.InferenceError, match="features of frames 0 to 12 are incomplete"):
        ds.soup.sequence.infer("fast", model_in=sequence, overwrite=True)


def test_complete_trials_are_skipped(new_store, models, extracted):
    ds = new_store(*TRIALS)
    ds.isel(trial=[0]).soup.infer("fast", **models())
    assert sum(extracted) == 12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ds.soup.infer("fast", **models())
        ds.soup.infer("fast", **models())
    assert sum(extracted) == 36


def test_a_changed_sequence_model_is_said_and_with_overwrite_reuses_features(
    new_store, models, extracted
):
    ds = new_store(*TRIALS)
    ds.soup.infer("fast", **models())
    before = ds.probability.sel(mode="fast").values
    other = models() | {"sequence_model_in": models(seed=1)["sequence_model_in"]}
    with pytest.warns(sx.SoupWarning, match=r"3 complete trial.*sequence_model.*overwrite=True"):
        ds.soup.infer("fast", **other)
    np.testing.assert_array_equal(ds.probability.sel(mode="fast"), before)
    ds.soup.infer("fast", **other, overwrite=True)
    assert not np.array_equal(ds.probability.sel(mode="fast"), before)
    assert sum(extracted) == 36, "features were extracted again"


def test_changed_thresholds_reuse_features_too(new_store, models, extracted):
    ds = new_store("M1/S1/1")
    ds.soup.infer("fast", **models(), thresholds=0.999)
    assert (ds.ethogram.sel(mode="fast") == 0).all()
    with pytest.warns(sx.SoupWarning, match="thresholds"):
        ds.soup.infer("fast", **models(), thresholds={"grab": 0.0}, minimum_bout=0)
    ds.soup.infer("fast", **models(), thresholds={"grab": 0.0}, minimum_bout=0, overwrite=True)
    grab = select(ds, "M1/S1/1").ethogram.sel(behavior="grab")
    np.testing.assert_array_equal(
        grab, select(ds, "M1/S1/1").probability.sel(behavior="grab") > 0.01
    )
    assert sum(extracted) == 12


def test_a_changed_feature_model_extracts_again(new_store, models, extracted):
    ds = new_store("M1/S1/1")
    ds.soup.infer("fast", **models())
    with pytest.warns(sx.SoupWarning, match="feature_model"):
        ds.soup.infer("fast", **models(seed=1))
    ds.soup.infer("fast", **models(seed=1), overwrite=True)
    assert sum(extracted) == 24


def test_the_stages_one_by_one(new_store, models, extracted):
    ds = new_store(*TRIALS)
    paths = models()
    ds = ds.soup.feature_extractor.infer("fast", paths["flow_model_in"], paths["feature_model_in"])
    assert (ds.status.sel(mode="fast") == 1).all()
    features = ds.soup.features("fast")
    assert features.spatial.sel(animal="M1", session="S1", trial_id=2).shape == (12, 512)
    assert features.logit.sel({"class": "background"}).notnull().all()
    ds.soup.feature_extractor.infer("fast", paths["flow_model_in"], paths["feature_model_in"])
    assert sum(extracted) == 36
    ds = ds.soup.sequence.infer("fast", paths["sequence_model_in"])
    assert (ds.status.sel(mode="fast") == 2).all()
    again = new_store(*TRIALS, name="other.zarr").soup.infer("fast", **paths)
    np.testing.assert_array_equal(
        ds.probability.sel(mode="fast"), again.probability.sel(mode="fast")
    )


def test_the_sequence_stage_notices_features_made_anew(new_store, models):
    ds = new_store("M1/S1/1").soup.infer("fast", **models())
    before = select(ds, "M1/S1/1").probability.load()
    ds.soup.feature_extractor.infer(
        "fast", feature_model_in=models(seed=1)["feature_model_in"], overwrite=True
    )
    ds = ds.soup.sequence.infer("fast", models()["sequence_model_in"])
    assert not np.allclose(select(ds, "M1/S1/1").probability, before, atol=1e-4)


def test_a_replaced_video_of_equal_length_is_extracted_again(
    new_store, models, tmp_path, extracted
):
    ds = new_store("M1/S1/1", "M2/S1/1").soup.infer("fast", **models())
    videos = tmp_path / "videos"
    for view in ("side", "front"):
        shutil.copy(
            videos / f"M2/S1/reach_{view}_v001.mp4", videos / f"M1/S1/reach_{view}_v001.mp4"
        )
    ds = ds.soup.infer("fast", **models(), overwrite=True)
    assert sum(extracted) == 36, "one of the two trials has another video now"
    one, two = (select(ds, key).probability for key in ("M1/S1/1", "M2/S1/1"))
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_who_is_overtaken_writes_no_more(new_store, models, extracted, monkeypatch):
    """A second process begins on the same trial while the first is at work."""
    ds = new_store("M1/S1/1")
    address = ds.attrs["soupxr_store"]
    commit = TrialResults.commit

    def late(self, *results):
        other = TrialResults(Store(address), "fast", "M1/S1/1")
        other.start_features('{"features": null, "sequence": null, "claim": "other"}')
        commit(self, *results)

    monkeypatch.setattr(TrialResults, "commit", late)
    with pytest.warns(sx.SoupWarning, match="another process has begun on this trial"):
        ds.soup.infer("fast", **models())
    one = select(ds, "M1/S1/1")
    assert one.status == 0
    assert one.error.item() == ""
    assert "other" in one.provenance.item()


def test_arguments_may_be_numpy_numbers_and_lists(new_store, models):
    ds = new_store("M1/S1/1")
    ds = ds.soup.infer(
        "fast",
        **models(),
        thresholds={"grab": np.float32(0.25)},
        minimum_bout=np.int64(2),
        image_size=[np.int64(32), 40],
        normalization=np.array([[0.5] * 3, [0.25] * 3]),
    )
    record = provenance(ds, "M1/S1/1")
    assert record["sequence"]["identity"]["thresholds"]["grab"] == 0.25
    assert record["features"]["identity"]["image_size"] == [32, 40]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"thresholds": "0.5"}, "thresholds: expected a number"),
        ({"thresholds": {"sup": 0.5}}, "behaviors among"),
        ({"thresholds": 1.5}, "from 0 to below 1"),
        ({"minimum_bout": 1.5}, "whole frames"),
        ({"image_size": (10, 10)}, "32 pixels or more"),
        ({"normalization": (0.5, 0.5)}, "three means"),
        ({"features": "float8"}, "'float32', 'float16', 'none'"),
        ({"batch_size": 0}, "1 or more"),
        ({"device": "gpu"}, "device of this machine"),
        ({"precision": "float8"}, "'float32', 'bfloat16'"),
        ({"errors": "ignore"}, "'raise', 'warn'"),
        ({"sequence_model_in": None}, "the model that goes with feature_model_in"),
    ],
)
def test_bad_arguments_are_told_before_any_work(new_store, models, extracted, wrong, told):
    ds = new_store("M1/S1/1")
    with pytest.raises(sx.ArgumentError, match=told):
        ds.soup.infer("fast", **(models() | wrong))
    assert extracted == []
    assert ds.status.values.tolist() == [[0], [0], [0]]


def test_the_sequence_stage_without_features_says_what_to_do(new_store, models):
    ds = new_store("M1/S1/1")
    with pytest.raises(sx.InferenceError, match=r"M1/S1/1: there are no stored features.*infer"):
        ds.soup.sequence.infer("fast", models()["sequence_model_in"])
    assert "no stored features" in select(ds, "M1/S1/1").error.item()


@pytest.mark.parametrize("keep", ["float32", "float16", "none"])
def test_how_features_are_kept(new_store, models, keep):
    ds = new_store("M1/S1/1", n_frames=24)
    ds.soup.infer("fast", **models(), features=keep)
    stored = ds.soup.features("fast").spatial.values
    assert np.isnan(stored).all() == (keep == "none")
    exact = new_store("M1/S1/1", n_frames=24, name="exact.zarr")
    exact.soup.infer("fast", **models())
    tolerance = 2e-3 if keep == "float16" else 1e-6
    np.testing.assert_allclose(ds.probability, exact.probability, atol=tolerance)
    assert provenance(ds, "M1/S1/1")["features"]["kept"] == keep


def test_without_kept_features_the_sequence_model_can_still_be_changed(
    new_store, models, extracted
):
    ds = new_store("M1/S1/1")
    ds.soup.infer("fast", **models(), features="none")
    ds.soup.infer("fast", **models(), features="none", thresholds=0.3, overwrite=True)
    assert sum(extracted) == 24
    with pytest.raises(sx.InferenceError, match="no stored features"):
        ds.soup.sequence.infer("fast", models()["sequence_model_in"], overwrite=True)


def test_provenance_tells_how_it_came_about(new_store, models):
    ds = new_store("M1/S1/1").soup.infer("fast", **models(), minimum_bout={"chew": 7})
    record = provenance(ds, "M1/S1/1")
    digest = checkpoint.read(models()["feature_model_in"]).sha256
    assert record["features"]["identity"]["feature_model"] == digest
    assert record["features"]["identity"]["image_size"] == [32, 32]
    assert record["features"]["normalization"]["mean"] == [0.5, 0.5, 0.5]
    assert record["features"]["identity"]["precision"] == "float32"
    assert record["sequence"]["identity"]["thresholds"]["lift"] == 0.8090643
    assert record["sequence"]["identity"]["minimum_bout"] == [0, 3, 3, 3, 3, 3, 7]
    assert record["sequence"]["soupxr"] == sx.__version__


def test_statistics_of_each_trial_where_a_checkpoint_says_nothing(new_store, models):
    ds = new_store("M1/S1/1", "M2/S1/1")
    ds = ds.soup.infer("fast", **models(), normalization="trial")
    frames = select(ds, "M1/S1/1").soup.video().values[::10] / 255
    record = provenance(ds, "M1/S1/1")
    np.testing.assert_allclose(record["features"]["normalization"]["mean"], frames.mean((0, 1, 2)))
    np.testing.assert_allclose(record["features"]["normalization"]["std"], frames.std((0, 1, 2)))
    assert record["features"]["identity"]["normalization"] is None


def test_a_failing_trial_does_not_stop_the_others(new_store, models, tmp_path):
    ds = new_store(*TRIALS)
    (tmp_path / "videos/M1/S1/reach_side_v002.mp4").write_bytes(b"")
    (tmp_path / "videos/M2/S1/reach_side_v001.mp4").unlink()
    with pytest.raises(sx.InferenceError) as caught:
        ds.soup.infer("fast", **models())
    assert "2 of 3 trial(s) failed in mode fast; 1 are done and in the store" in str(caught.value)
    assert "M1/S1/2:" in str(caught.value)
    assert "M2/S1/1:" in str(caught.value)
    assert ds.status.sel(mode="fast").values.tolist() == [2, 3, 3]
    assert "reach_side_v002.mp4" in select(ds, "M1/S1/2").error.item()
    assert select(ds, "M1/S1/1").error.item() == ""
    table = ds.soup.trials
    assert table.fast.tolist() == ["complete", "failed", "failed"]


def test_failures_as_a_warning_and_their_repair(new_store, models, tmp_path, film):
    ds = new_store(*TRIALS)
    broken = tmp_path / "videos/M1/S1/reach_side_v002.mp4"
    broken.write_bytes(b"")
    with pytest.warns(sx.SoupWarning, match="M1/S1/2"):
        ds.soup.infer("fast", **models(), errors="warn")
    film(broken)
    ds.soup.infer("fast", **models())
    assert ds.status.sel(mode="fast").values.tolist() == [2, 2, 2]
    assert select(ds, "M1/S1/2").error.item() == ""


def test_a_redo_that_fails_keeps_the_earlier_result(new_store, models, tmp_path):
    ds = new_store("M1/S1/1").soup.infer("fast", **models())
    before = select(ds, "M1/S1/1").load()
    (tmp_path / "videos/M1/S1/reach_side_v001.mp4").unlink()
    with pytest.raises(sx.InferenceError, match="reach_side_v001"):
        ds.soup.infer("fast", **models(seed=1), overwrite=True)
    after = select(ds, "M1/S1/1")
    assert after.status == 2
    assert "reach_side_v001" in after.error.item()
    np.testing.assert_array_equal(after.probability, before.probability)


@pytest.mark.parametrize(
    ("before", "after", "every"),
    [
        (14, 9, 1),
        (9, 14, 1),
        (12, 1030, 40),
        pytest.param(12, 1030, 1, marks=pytest.mark.thorough),
    ],
)
def test_a_video_that_was_replaced_by_one_of_another_length(
    new_store, models, tmp_path, film, before, after, every
):
    ds = new_store("M1/S1/1", "M1/S1/2", n_frames=before)
    ds.soup.infer("fast", **models())
    for view in ("side", "front"):
        film(tmp_path / f"videos/M1/S1/reach_{view}_v001.mp4", n_frames=after)
    with pytest.warns(sx.SoupWarning, match=f"had {before} frames.*has {after} at"):
        ds = ds.soup.infer("fast", **models(), overwrite=True, every=every)
    one = select(ds, "M1/S1/1")
    assert one.n_frames == after
    assert (one.ethogram[:after] >= 0).all()
    assert (one.ethogram[after:] == -1).all()
    assert one.probability[after:].isnull().all()
    two = select(ds, "M1/S1/2")
    assert two.n_frames == before
    assert (two.ethogram[:before] >= 0).all()


def test_views_of_different_height_are_padded(tmp_path, lab, film, models):
    root = lab("M1/S1/1")
    film(root / "M1/S1/reach_front_v001.mp4", height=64)
    ds = sx.create(tmp_path / "pad.zarr", root, join="pad").soup.add_item("M1")
    video = select(ds, "M1/S1/1").soup.video()
    assert video.shape == (12, 64, 96, 3)
    assert (video[:, 32:, :48] == 0).all()
    ds = ds.soup.infer("fast", **models(), normalization="trial")
    frames = video.values[::10] / 255
    record = provenance(ds, "M1/S1/1")["features"]["normalization"]
    np.testing.assert_allclose(record["mean"], frames.mean((0, 1, 2)))
    np.testing.assert_allclose(record["std"], frames.std((0, 1, 2)))


def test_any_dask_scheduler_gives_the_same(new_store, models):
    plain = new_store(*TRIALS, name="plain.zarr")
    plain.soup.infer("fast", **models())
    for scheduler in ("threads", "processes", "sync"):
        ds = new_store(*TRIALS, name=f"{scheduler}.zarr")
        context = {"multiprocessing.context": PROCESSES.get_start_method()}
        with dask.config.set(context, scheduler=scheduler, num_workers=2):
            ds.soup.infer("fast", **models())
        np.testing.assert_allclose(ds.probability, plain.probability, atol=1e-6, err_msg=scheduler)


def test_trials_that_take_turns_on_a_device_give_the_same(new_store, models, monkeypatch):
    ds = new_store(*TRIALS)
    monkeypatch.setattr("soupxr.inference.here.trials_at_once", lambda tasks: 3)
    ds = ds.soup.infer("fast", **models())
    plain = new_store(*TRIALS, name="plain.zarr")
    monkeypatch.undo()
    plain = plain.soup.infer("fast", **models())
    np.testing.assert_allclose(ds.probability, plain.probability, atol=1e-6)


def test_every_other_frame(new_store, models, extracted):
    ds = new_store("M1/S1/1", n_frames=41)
    ds = ds.soup.infer("fast", **models(), every=2)
    assert sum(extracted) == 21
    assert provenance(ds, "M1/S1/1")["features"]["identity"]["every"] == 2
    one = select(ds, "M1/S1/1")
    assert np.isfinite(one.probability.values).all()
    half = one.soup.features("fast").logit.values[0]
    # Features of each k-th frame are not taken for those of all, nor the other way round.
    with pytest.warns(sx.SoupWarning, match="every"):
        ds.soup.infer("fast", **models())
    ds = ds.soup.infer("fast", **models(), overwrite=True)
    assert sum(extracted) == 21 + 41
    whole = select(ds, "M1/S1/1").soup.features("fast").logit.values[0]
    scale = np.abs(whole).max()
    np.testing.assert_allclose(half[::2], whole[::2], atol=1e-4 * scale)
    np.testing.assert_allclose(half[1::2], (whole[:-1:2] + whole[2::2]) / 2, atol=1e-4 * scale)
    assert not np.allclose(half[1::2], whole[1::2], atol=1e-4 * scale)


@pytest.mark.parametrize("every", [0, -1, 1.5, "2"])
def test_every_must_be_a_count(new_store, models, every):
    with pytest.raises(sx.ArgumentError, match="every"):
        new_store("M1/S1/1").soup.infer("fast", **models(), every=every)


@pytest.mark.slow
@pytest.mark.thorough
def test_a_distributed_client_gives_the_same(new_store, models, tmp_path):
    distributed = pytest.importorskip("distributed")
    ds = new_store(*TRIALS)
    (tmp_path / "videos/M2/S1/reach_side_v001.mp4").write_bytes(b"")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    )
    failed = pytest.raises(sx.InferenceError, match=r"1 of 3 trial.*failed")
    with cluster, distributed.Client(cluster), failed:
        ds.soup.infer("fast", **models())
    assert ds.status.sel(mode="fast").values.tolist() == [2, 2, 3]
    plain = new_store("M1/S1/1", "M1/S1/2", name="plain.zarr")
    plain.soup.infer("fast", **models())
    one = ds.sel(animal="M1").probability.sel(mode="fast")
    np.testing.assert_allclose(one, plain.probability.sel(mode="fast"), atol=1e-6)


def test_nothing_to_do(new_store, models):
    ds = new_store("M1/S1/1")
    empty = ds.isel(trial=[]).soup.infer("fast", **models())
    assert empty.sizes["trial"] == 0


def test_progress_over_frames(new_store, models, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")  # a bar is cut to the terminal's width
    ds = new_store(*TRIALS)
    ds.soup.infer("fast", **models(), progress=True)
    told = capsys.readouterr().err
    assert "36/36" in told
    assert "3 done, 0 skipped, 0 failed (trials)" in told
    ds.soup.infer("fast", **models(), overwrite=True, progress=False)
    assert capsys.readouterr().err == ""


def test_a_sequence_model_refuses_features_of_another_extractor(new_store, models, tmp_path):
    paths = models()
    known = checkpoint.read(paths["sequence_model_in"])
    inputs = {"features": {"feature_model": checkpoint.read(paths["feature_model_in"]).sha256}}

    def write(name, inputs):
        return checkpoint.write(
            tmp_path / name,
            kind="sequence",
            mode="fast",
            model=known.state_dict,
            config=known.config,
            behaviors=known.behaviors,
            window=None,
            image_size=None,
            preprocessing=None,
            normalization=None,
            extra={"training": {"inputs": inputs}},
        ).path

    friend = write("friend.ckpt", inputs)
    stranger = write("stranger.ckpt", {"features": {"feature_model": "0" * 64}})
    ds = new_store("M1/S1/1")
    with pytest.raises(sx.CheckpointError, match="learnt from those of another"):
        ds.soup.infer(feature_model_in=paths["feature_model_in"], sequence_model_in=stranger)
    ds = ds.soup.infer(feature_model_in=paths["feature_model_in"], sequence_model_in=friend)
    with pytest.raises(sx.InferenceError, match="another feature extractor"):
        ds.soup.sequence.infer(model_in=stranger, overwrite=True)
    assert ds.soup.trials.fast.tolist() == ["complete"], "the earlier result stays"
