"""JAABA's scores and labels."""

import h5py
import numpy as np
import pytest
from io_stores import mask_of
from written.jaaba import N, cells, put_scores, scores_of

import soupxr as sx
from soupxr.bouts import mask_to_bouts
from soupxr.errors import ArgumentError, FormatError
from soupxr.io import jaaba

scipy_io = pytest.importorskip("scipy.io")


@pytest.fixture
def ds(bare_store):
    return bare_store(
        {"M1/S1/1": N, "M1/S1/2": N}, views=("top",), video="{animal}/{session}/exp{trial_id}.avi"
    )


def bouts_of(ds, key, column, annotator="JAABA"):
    return mask_to_bouts(mask_of(ds, key, annotator)[:, column] == 1).tolist()


def test_scores_of_an_experiment(ds, tmp_path):
    folder = tmp_path / "exp1"
    put_scores(folder, "lift", [scores_of([(5, 9)], start=3)])
    put_scores(
        folder,
        "grab",
        [scores_of([(5, 9), (20, 30)])],
        postprocessed=[np.isin(np.arange(N), range(20, 30)).astype(float)[None, :]],
    )
    ds, report = jaaba.read(ds, folder)
    mask = mask_of(ds, "M1/S1/1", "JAABA")
    assert mask[:, 0].tolist() == [-1] * 3 + [0] * 2 + [1] * 4 + [0] * 41
    assert bouts_of(ds, "M1/S1/1", 2) == [[20, 30]]
    assert (mask[:, [1, 3, 4, 5]] == -1).all()
    assert report.names == {str(folder): "M1/S1/1"}
    assert "only their sign is taken" in repr(report)


def test_scores_as_results_of_a_mode(ds, tmp_path):
    put_scores(tmp_path / "exp2", "lift", [scores_of([(5, 9)])])
    ds, report = jaaba.read(ds, tmp_path / "exp2", mode="slow")
    assert report.results == {"slow": ("M1/S1/2",)}
    found = ds.ethogram.sel(mode="slow").values[1, :N]
    assert mask_to_bouts(found[:, 0] == 1).tolist() == [[5, 9]]
    assert np.isnan(ds.probability.sel(mode="slow").values).all()
    with pytest.raises(FormatError, match="a result in mode slow already"):
        jaaba.read(ds, tmp_path / "exp2", mode="slow")


def test_scores_and_labels_of_one_trial_are_kept_apart(ds, tmp_path):
    put_scores(tmp_path / "exp1", "lift", [scores_of([(5, 9)])])
    content = {"t0s": cells([[31]]), "t1s": cells([[41]]), "names": cells([cells(["lift"])])}
    scipy_io.savemat(tmp_path / "exp1/labels.mat", {"labels": content})
    with pytest.raises(FormatError, match="'JAABA' for M1/S1/1 are there twice"):
        jaaba.read(ds, tmp_path / "exp1")
    ds, report = jaaba.read(ds, tmp_path / "exp1", mode="slow")
    assert report.results == {"slow": ("M1/S1/1",)}
    assert mask_to_bouts(ds.ethogram.sel(mode="slow").values[0, :N, 0] == 1).tolist() == [[5, 9]]
    assert bouts_of(ds, "M1/S1/1", 0) == [[30, 40]]


def test_scores_of_an_animal_that_leaves(ds, tmp_path):
    path = put_scores(tmp_path / "exp1", "lift", [scores_of([(5, 9)], n=20)])
    with pytest.raises(FormatError, match="has 20 frames, but the video has 50"):
        jaaba.read(ds, path.parent)  # it says that the animal was there to the end
    content = scipy_io.loadmat(path)["allScores"]
    content["tEnd"][0, 0][:] = 20
    scipy_io.savemat(path, {"allScores": content})
    ds, _ = jaaba.read(ds, path.parent)
    mask = mask_of(ds, "M1/S1/1", "JAABA")[:, 0]
    assert mask.tolist() == [0] * 5 + [1] * 4 + [0] * 11 + [-1] * 30


def test_a_film_of_several_animals(ds, tmp_path):
    put_scores(tmp_path / "exp1", "lift", [scores_of([(5, 9)]), scores_of([(7, 19)])])
    with pytest.raises(FormatError, match=r"holds 2 animals\. Say which: target=1 to 2"):
        jaaba.read(ds, tmp_path / "exp1")
    ds, _ = jaaba.read(ds, tmp_path / "exp1", target=2)
    assert bouts_of(ds, "M1/S1/1", 0) == [[7, 19]]
    with pytest.raises(FormatError, match="holds 2 animal"):
        jaaba.read(ds, tmp_path / "exp1", target=3, annotator="other")


def test_files_of_matlab_7_3(ds, tmp_path):
    (tmp_path / "exp1").mkdir()
    with h5py.File(tmp_path / "exp1" / "scores_x.mat", "w", userblock_size=512) as file:
        holder = file.create_dataset("#refs#/a", data=scores_of([(5, 9)]).T)
        cell = file.create_dataset("allScores/scores", (1, 1), dtype=h5py.ref_dtype)
        cell[0, 0] = holder.ref
        cell.attrs["MATLAB_class"] = np.bytes_("cell")
        name = file.create_dataset("behaviorName", data=np.array([[ord(c)] for c in "lift"], "u2"))
        name.attrs["MATLAB_class"] = np.bytes_("char")
    ds, _ = jaaba.read(ds, tmp_path / "exp1")
    assert bouts_of(ds, "M1/S1/1", 0) == [[5, 9]]


@pytest.mark.parametrize("as_struct", [True, False])
def test_labels(ds, tmp_path, as_struct):
    (tmp_path / "exp1").mkdir()
    labels = {
        "t0s": cells([np.array([[3.0, 11.0]]), np.array([[21.0, 31.0, 41.0]])]),
        "t1s": cells([np.array([[5.0, 13.0]]), np.array([[25.0, 35.0, 43.0]])]),
        "names": cells([cells(["lift", "None"]), cells(["grab", "No_grab", "None"])]),
        "flies": np.array([[1.0], [2.0]]),
        "off": np.zeros((1, 2)),
    }
    labels["flies"] = cells([np.array([[1.0]]), np.array([[2.0]])])
    content = {"labels": labels} if as_struct else labels
    scipy_io.savemat(tmp_path / "exp1" / "labels.mat", content)
    one, _ = jaaba.read(ds, tmp_path / "exp1", target=1, annotator="one")
    mask = mask_of(one, "M1/S1/1", "one")
    assert mask[:, 0].tolist() == [-1] * 2 + [1] * 2 + [-1] * 6 + [0] * 2 + [-1] * 38
    assert (mask[:, 1:] == -1).all()
    two, _ = jaaba.read(ds, tmp_path / "exp1", target=2, annotator="two")
    mask = mask_of(two, "M1/S1/1", "two")
    assert mask_to_bouts(mask[:, 2] == 1).tolist() == [[20, 24]]
    assert mask_to_bouts(mask[:, 2] == 0).tolist() == [[30, 34], [40, 42]]
    assert jaaba.behaviors(tmp_path / "exp1") == ["lift", "grab"]


def test_all_that_is_wrong_is_told_and_nothing_is_written(ds, tmp_path):
    put_scores(tmp_path / "exp1", "hop", [scores_of([(5, 9)])])
    put_scores(tmp_path / "exp1", "lift", [scores_of([(5, 9)], n=N + 9)])
    put_scores(tmp_path / "exp9", "lift", [scores_of([(5, 9)])])
    (tmp_path / "exp2").mkdir()
    (tmp_path / "exp2" / "scores_lift.mat").write_bytes(b"no MATLAB file at all" * 40)
    scipy_io.savemat(tmp_path / "exp2" / "labels.mat", {"other": 1.0})
    with pytest.raises(FormatError) as error:
        jaaba.read(ds, [tmp_path / name for name in ("exp1", "exp2", "exp9")])
    told = str(error.value)
    for part in (
        "behavior 'hop': expected one of",
        "scores_lift.mat: has 59 frames, but the video has 50",
        "scores_lift.mat: this is not a MATLAB file",
        "labels.mat: expected allScores, or labels with t0s, t1s and names",
        "not among the 2 selected trials",
    ):
        assert part in told
    assert sx.open(ds.attrs["soupxr_store"]).sizes["annotator"] == 0


def test_arguments_of_no_use(ds, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FormatError, match="found none"):
        jaaba.read(ds, tmp_path / "empty")
    with pytest.raises(ArgumentError, match="target: expected"):
        jaaba.read(ds, tmp_path / "x.mat", target=0)
    with pytest.raises(ArgumentError, match="mode: expected"):
        jaaba.read(ds, tmp_path / "x.mat", mode="quick")
    with pytest.raises(FormatError, match="no such file"):
        jaaba.read(ds, tmp_path / "x.mat")
