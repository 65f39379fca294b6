"""The main job on real video: the code block of the README, end to end."""

import subprocess

import imageio_ffmpeg
import numpy as np
import pytest
from reference import infer_plainly, select

import soupxr as sx


@pytest.mark.slow
@pytest.mark.thorough
def test_eight_real_trials(shared, models, tmp_path):
    ds = sx.create(tmp_path / "reach.zarr", data_root=shared / "data/mirror", join="pad")
    for animal in ("M1", "M2"):
        ds = ds.soup.add_item(animal, experiment="table")
    ds = ds.soup.infer(mode="fast", **models())
    one = ds.ethogram.sel(mode="fast", animal="M1", session="S2", trial_id=1)
    assert one.dims == ("frame", "behavior")
    assert one.dtype == np.int8
    assert ds.sizes["trial"] == 8
    assert (ds.n_frames == 248).all()
    assert (ds.fps == 250).all()
    assert ds.soup.trials.fast.tolist() == ["complete"] * 8
    assert (ds.ethogram.sel(mode="fast") >= 0).all()
    trial = select(ds, "M2/S1/2")
    assert trial.soup.video().shape == (248, 238, 792, 3)
    probability, ethogram = infer_plainly(trial.soup.video().values, models(), (32, 32))
    np.testing.assert_allclose(trial.probability, probability, atol=2e-5)
    np.testing.assert_array_equal(trial.ethogram, ethogram)
    np.testing.assert_array_equal(
        one,
        sx.open(tmp_path / "reach.zarr").ethogram.sel(
            mode="fast", animal="M1", session="S2", trial_id=1
        ),
    )


def test_heights_that_differ_are_refused_unless_padded(shared, tmp_path):
    ds = sx.create(tmp_path / "reach.zarr", data_root=shared / "data/mirror")
    with pytest.raises(sx.IngestError) as caught:
        ds.soup.add_item("M1")
    assert "side 396x168" in str(caught.value)
    assert "front 396x238" in str(caught.value)
    assert sx.open(tmp_path / "reach.zarr").sizes["trial"] == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "mode",
    [
        "fast",
        pytest.param("medium", marks=pytest.mark.thorough),
        pytest.param("slow", marks=pytest.mark.thorough),
    ],
)
def test_one_short_real_trial_at_full_size(shared, models, tmp_path, mode):
    for view in ("side", "front"):
        source = shared / f"data/mirror/M1/S1/run_{view}_v001.mp4"
        target = tmp_path / f"videos/M1/S1/run_{view}_v001.mp4"
        target.parent.mkdir(parents=True, exist_ok=True)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(source)]
        command += ["-frames:v", "4", "-c:v", "libx264", "-crf", "18", str(target)]
        subprocess.run(command, check=True)
    ds = sx.create(tmp_path / "reach.zarr", tmp_path / "videos", join="pad").soup.add_item("M1")
    paths = models(mode, image_size=(224, 224))
    ds = ds.soup.infer(mode, **paths)
    one = select(ds, "M1/S1/1", mode)
    probability, ethogram = infer_plainly(one.soup.video().values, paths, (224, 224))
    np.testing.assert_allclose(one.probability, probability, atol=2e-5)
    np.testing.assert_array_equal(one.ethogram, ethogram)
