"""DeepEthogram's projects and label files."""

import json
import shutil

import h5py
import numpy as np
import pytest
from io_stores import mask_of, random_mask
from written.deepethogram import make, put_labels, put_outputs

import soupxr as sx
from soupxr.dataset import store_of
from soupxr.errors import ArgumentError, FormatError, SoupWarning
from soupxr.io import deepethogram
from soupxr.labels import with_background

N = 24


@pytest.fixture
def project(tmp_path, film):
    """A project of two videos, with statistics and a checkpoint."""
    return make(tmp_path / "mice_deepethogram", film, N)


def new(project, behaviors=("walk", "groom"), views=("joined",)):
    return sx.create(project.parent / "s.zarr", project / "DATA", behaviors=behaviors, views=views)


def test_a_whole_project(project):
    mask = random_mask(N, 2, 3, unlabelled=True)
    put_labels(project, "m1_a", with_background(mask))
    probability = np.random.default_rng(0).random((N, 3))
    put_outputs(project, "m1_a", probability)
    ds = new(project, deepethogram.behaviors(project))
    ds, report = deepethogram.read(ds, project)
    assert report.trials == ("mice/DATA/1", "mice/DATA/2")
    assert report.names == {"m1_a": "mice/DATA/1", "m2_a": "mice/DATA/2"}
    assert report.annotations == {"jim": ("mice/DATA/1",)}
    assert report.results == {"fast": ("mice/DATA/1",)}
    told = repr(report)
    left = ("models/run/checkpoint.pt", "normalization=([0.1, 0.2, 0.3]", "features")
    for part in (*left, "stats.yaml of 2 video(s)"):
        assert part in told
    assert "labels of m2_a: it has none" in told
    assert (mask_of(ds, "mice/DATA/1", "jim") == mask).all()
    one = ds.sel(animal="mice", session="DATA", trial_id=1, mode="fast")
    found = one.probability.values[:N]
    np.testing.assert_allclose(found, probability[:, 1:].astype(np.float32))
    assert (one.ethogram.values[:N] == (probability[:, 1:] > [0.6, 0.3])).all()
    assert one.soup.video().shape == (N, 32, 48, 3)
    record = json.loads(str(one.provenance.values))
    assert record["sequence"]["imported"]["group"] == "tgmj"
    assert record["sequence"]["imported"]["thresholds"] == {
        "background": 0.5,
        "walk": 0.6,
        "groom": 0.3,
    }
    assert ds.soup.trials.fast.tolist() == ["complete", "none"]


def test_infer_takes_imported_results_for_what_they_are(project, models):
    put_outputs(project, "m1_a", np.full((N, 3), 0.9))
    ds, _ = deepethogram.read(new(project), project, trials={"m1_a": "A/S/1", "m2_a": "B/S/1"})
    one = ds.sel(animal="A")
    checkpoints = models(behaviors=("walk", "groom"))
    with pytest.warns(SoupWarning, match="imported from DeepEthogram.*Pass overwrite=True"):
        one = one.soup.infer(mode="fast", **checkpoints)
    assert (one.ethogram.sel(mode="fast").values[0, :N] == 1).all()
    one = one.soup.infer(mode="fast", **checkpoints, overwrite=True)
    record = json.loads(str(one.provenance.sel(mode="fast").values[0]))
    assert "imported" not in record["sequence"]
    with pytest.raises(FormatError, match="a result in mode fast already"):
        deepethogram.read(ds, project, trials={"m1_a": "A/S/1", "m2_a": "B/S/1"})
    deepethogram.read(ds, project, trials={"m1_a": "A/S/1", "m2_a": "B/S/1"}, overwrite=True)


def test_predictions_count_before_thresholds(project):
    put_outputs(project, "m1_a", np.full((N, 3), 0.9))
    rows = "".join(f"{n},0,{int(n > 5)},0\n" for n in range(N))
    path = project / "DATA" / "m1_a" / "m1_a_predictions.csv"
    path.write_text(",background,walk,groom\n" + rows)
    ds, _ = deepethogram.read(new(project), project)
    found = ds.ethogram.sel(mode="fast").values[0, :N]
    assert found[:, 0].tolist() == [0] * 6 + [1] * 18
    assert not found[:, 1].any()


def test_a_trial_that_is_there_gets_labels_only(project):
    ds, _ = deepethogram.read(new(project), project)
    mask = random_mask(N, 2, 3)
    put_labels(project, "m2_a", with_background(mask))
    ds, report = deepethogram.read(ds, project, annotator="Ana")
    assert report.trials == ()
    assert (mask_of(ds, "mice/DATA/2", "Ana") == mask).all()


def test_labels_in_hdf5_wider_than_tall(project):
    mask = random_mask(N, 2, 3)
    with h5py.File(project / "DATA" / "m1_a" / "m1_a_labels.h5", "w") as file:
        file["scores"] = with_background(mask).T
    ds, _ = deepethogram.read(new(project), project)
    assert (mask_of(ds, "mice/DATA/1", "jim") == mask).all()


def test_all_that_is_wrong_is_told_and_nothing_is_added(project):
    put_labels(project, "m1_a", np.full((N - 9, 3), 0))
    bad = with_background(random_mask(N, 2, 3))
    bad[4] = [1, 1, 0]
    put_labels(project, "m2_a", bad)
    (project / "DATA" / "m2_a" / "m2_a_outputs.h5").write_bytes(b"no HDF5")
    ds = new(project)
    with pytest.raises(FormatError) as error:
        deepethogram.read(ds, project)
    told = str(error.value)
    assert "m1_a_labels.csv: has 15 frames, but the video has 24" in told
    assert "m2_a_labels.csv: frame 4: background and a behavior at once" in told
    assert "m2_a_outputs.h5: this is not an HDF5 file" in told
    assert sx.open(ds.attrs["soupxr_store"]).sizes["trial"] == 0


def test_labels_that_are_no_labels(project):
    path = put_labels(project, "m1_a", with_background(np.zeros((N, 2), np.int8)))
    text = path.read_text()
    path.write_text(text.replace("\n3,1,0,0", "\n3,1,x,0"))
    with pytest.raises(FormatError, match="row 5: expected 1, 0 or -1, but got 'x'"):
        deepethogram.read(new(project), project)


def test_a_first_behavior_that_is_none_of_the_project(project):
    names = ["stand", "walk", "groom"]
    path = project / "DATA" / "m1_a" / "m1_a_labels.csv"
    path.write_text("\n".join([",".join(names), *["1,0,0"] * N]))
    with pytest.raises(FormatError, match="behavior 'stand': expected one of"):
        deepethogram.read(new(project), project)


def test_other_behaviors(project):
    put_labels(project, "m1_a", with_background(random_mask(N, 2, 3)))
    ds = new(project, behaviors=("walk", "grooming"))
    with pytest.raises(FormatError, match="behavior 'groom': expected one of"):
        deepethogram.read(ds, project)
    ds, _ = deepethogram.read(ds, project, behaviors={"groom": "grooming"})
    assert (mask_of(ds, "mice/DATA/1", "jim") == random_mask(N, 2, 3)).all()


@pytest.mark.parametrize(
    ("groups", "options", "told"),
    [
        (("resnet18", "resnet50", "tgmj"), {}, r"do not tell a mode. Say which: mode="),
        (("resnet18", "tgmj", "tgmj_2"), {}, r"holds results of .* Say which: group="),
        (("resnet18", "tgmj"), {"group": "other"}, "expected the group 'other'"),
    ],
)
def test_results_that_are_not_clear(project, groups, options, told):
    put_outputs(project, "m1_a", np.full((N, 3), 0.9), groups)
    with pytest.raises(FormatError, match=told):
        deepethogram.read(new(project), project, **options)


def test_the_feature_extractor_where_there_is_no_sequence_model(project):
    put_outputs(project, "m1_a", np.full((N, 3), 0.9), ("resnet50",))
    _, report = deepethogram.read(new(project), project)
    assert report.results == {"medium": ("mice/DATA/1",)}


def test_what_is_no_project(project, tmp_path):
    ds = new(project)
    with pytest.raises(FormatError, match="no such file"):
        deepethogram.read(ds, tmp_path / "none")
    (tmp_path / "project_config.yaml").write_text("a: [")
    with pytest.raises(FormatError, match="is damaged"):
        deepethogram.read(ds, tmp_path)
    (tmp_path / "project_config.yaml").write_text("a: !!python/object/apply:os.getcwd []")
    with pytest.raises(FormatError, match="is damaged"):
        deepethogram.read(ds, tmp_path)
    shutil.rmtree(project / "DATA")
    with pytest.raises(FormatError, match="no such folder"):
        deepethogram.read(ds, project)


def test_a_store_of_two_views(project):
    ds = new(project, views=("side", "front"))
    with pytest.raises(FormatError, match="one joined video a trial"):
        deepethogram.read(ds, project)


def test_videos_outside_of_data_root(project, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    ds = sx.create(tmp_path / "s.zarr", tmp_path / "elsewhere", behaviors=["walk"], views=["v"])
    with pytest.raises(FormatError, match="is not below data_root"):
        deepethogram.read(ds, project)


def test_a_real_output_file(project, shared, film):
    folder = project / "DATA" / "m1_a"
    shutil.copyfile(shared / "parity" / "files" / "deg_vid_outputs.h5", folder / "m1_a_outputs.h5")
    film(folder / "m1_a.mp4", n_frames=14)
    ds = new(project, behaviors=("a", "b"))
    ds, report = deepethogram.read(ds, project)
    with h5py.File(folder / "m1_a_outputs.h5") as file:
        truth = np.asarray(file["tgmj/P"])[:, 1:]
    assert report.results == {"fast": ("mice/DATA/1",)}
    np.testing.assert_array_equal(ds.probability.sel(mode="fast").values[0, :14], truth)


# ------------------------------------------------------------------ out


def test_label_files_go_out_and_come_back(project, tmp_path):
    mask = random_mask(N, 2, 3, unlabelled=True)
    put_labels(project, "m1_a", with_background(mask))
    ds, _ = deepethogram.read(new(project), project)
    files = deepethogram.write(ds, tmp_path / "out", annotator="jim")
    path = tmp_path / "out" / "m1_a" / "m1_a_labels.csv"
    assert files == {"mice/DATA/1": path}
    assert path.read_text() == (project / "DATA" / "m1_a" / "m1_a_labels.csv").read_text()
    record = json.loads((tmp_path / "out" / "soupxr_provenance.json").read_text())
    assert record["annotator"] == "jim"
    assert record["files"] == {"mice/DATA/1": "m1_a/m1_a_labels.csv"}
    with pytest.raises(ArgumentError, match="Pass overwrite=True"):
        deepethogram.write(ds, tmp_path / "out", annotator="jim")
    deepethogram.write(ds, project / "DATA", annotator="jim", overwrite=True)
    ds, _ = deepethogram.read(ds, project, annotator="back")
    assert (mask_of(ds, "mice/DATA/1", "back") == mask).all()
    assert store_of(ds).labels("annotator") == ["jim", "back"]


def test_files_of_a_store_with_two_views_have_the_trial_s_name(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 9})
    ds = ds.sel(animal="M1").soup.annotate(random_mask(9, 6, 1), annotator="Ana")
    files = deepethogram.write(ds, tmp_path / "out", annotator="Ana")
    assert files["M1/S1/1"].name == "M1_S1_1_labels.csv"
    header = files["M1/S1/1"].read_text().split("\n")[0]
    assert header == ",background,lift,handopen,grab,supinate,atmouth,chew"


def test_a_video_does_not_become_a_second_trial(project):
    put_labels(project, "m1_a", with_background(random_mask(N, 2, 1)))
    ds, _ = deepethogram.read(new(project), project)
    with pytest.raises(sx.FormatError, match="m1_a: its video is the trial mice/DATA/1 already"):
        deepethogram.read(ds, project, trials={"m1_a": "A/S/1", "m2_a": "B/S/1"})
    assert len(sx.open(ds.attrs["soupxr_store"]).soup.trials) == 2
