"""animal-soup's dataframes and output files, and pickles that would like to run something."""

import json
import pathlib
import pickle
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
from faults.checker import assert_equal, holdings
from io_stores import mask_of, random_mask
from results import probabilities, put_result
from written.animal_soup import frame, put_outputs, save

import soupxr as sx
from soupxr.errors import FormatError
from soupxr.io import animal_soup
from soupxr.io.pandas_hdf import read_columns

pytest.importorskip("tables")

N = 16


class Bomb:
    """Runs when an ordinary reader loads it."""

    def __init__(self, fuse):
        self.fuse = str(fuse)

    def __reduce__(self):
        return (pathlib.Path.touch, (pathlib.Path(self.fuse),))


@pytest.fixture
def root(lab):
    return lab("M1/S1/1", "M1/S1/2", n_frames=N)


def new(root, **options):
    return sx.create(root.parent / "s.zarr", root, **options)


def test_a_whole_dataframe(root, tmp_path):
    masks = [random_mask(N, 6, seed) for seed in (1, 2)]
    cleaned = [masks[0].T.astype(np.int64), None]
    random = np.random.default_rng(0)
    probability = random.random((N, 7)).astype(np.float32)
    ethogram = random_mask(N, 6, 3).T.astype(np.int64)
    put_outputs(
        root / "M1/S1",
        {1: {"fast": (probability, ethogram), "slow": (1 - probability, 1 - ethogram)}},
        {2: masks[1].T.astype(np.int64)},
    )
    df = frame(cleaned_ethograms=cleaned, ethograms=[ethogram, None], weather=["wet", "dry"])
    ds, report = animal_soup.read(new(root), save(df, tmp_path / "df.hdf"))
    assert report.trials == ("M1/S1/1", "M1/S1/2")
    assert report.annotations == {"cleaned": ("M1/S1/1", "M1/S1/2")}
    assert report.results == {"fast": ("M1/S1/1",), "slow": ("M1/S1/1",)}
    for part in ("features", "model_params", "the column ethograms", "column 'weather'"):
        assert part in repr(report)
    for number, mask in enumerate(masks, start=1):
        assert (mask_of(ds, f"M1/S1/{number}", "cleaned") == mask).all()
    table = ds.soup.trials
    assert table.notes.tolist() == ["", "wet paw"]
    assert table.experiment.tolist() == ["table", "table"]
    one = ds.sel(animal="M1", session="S1", trial_id=1)
    np.testing.assert_array_equal(one.probability.sel(mode="fast").values[:N], probability[:, 1:])
    np.testing.assert_array_equal(one.ethogram.sel(mode="slow").values[:N], 1 - ethogram.T)
    record = json.loads(str(one.provenance.sel(mode="slow").values))
    assert record["sequence"]["imported"]["format"] == "animal-soup"
    assert one.soup.video().shape == (N, 32, 96, 3)


def test_of_a_selection_other_trials_stay_as_they_are(root, tmp_path):
    ds = new(root).soup.add_item("M1", progress=False)
    mask = random_mask(N, 6, 1).T.astype(np.int64)
    df = save(frame(cleaned_ethograms=[mask, mask]), tmp_path / "df.hdf")
    ds, report = animal_soup.read(ds.isel(trial=[1]), df)
    assert report.annotations == {"cleaned": ("M1/S1/2",)}
    assert "M1/S1/1, which is in the store but not selected" in report.left


def test_a_disk_that_fails_at_the_last_write_leaves_all_as_it_was(root, tmp_path, monkeypatch):
    """New trials, results over old ones and labels over old ones are taken back."""
    from soupxr.io import gather

    ds = new(root).soup.add_item("M1", "S1", 1, progress=False)
    put_result(ds, "M1/S1/1", probabilities(random_mask(N, 6, 1)))
    ds = ds.soup.annotate(random_mask(N, 6, 2), annotator="cleaned")
    before = holdings(ds.attrs["soupxr_store"])
    assert len(before.results) == len(before.labels) == len(before.trials) == 1
    result = np.zeros((N, 7), np.float32), random_mask(N, 6, 3).T
    put_outputs(root / "M1/S1", {n: {"fast": result, "slow": result} for n in (1, 2)})
    cleaned = [random_mask(N, 6, seed).T.astype(np.int64) for seed in (4, 5)]
    df = save(frame(cleaned_ethograms=cleaned), tmp_path / "df.hdf")
    real, wrote = gather.write_annotations, []

    def fails(address, annotator, masks, **options):
        found = holdings(address)
        wrote.append((sorted(found.trials), sorted(found.results)))
        monkeypatch.setattr(gather, "write_annotations", real)
        key = next(iter(masks))
        real(address, annotator, {key: masks[key]}, **options)
        raise sx.StoreError("No space left on device")

    monkeypatch.setattr(gather, "write_annotations", fails)
    with pytest.raises(sx.StoreError, match="No space left"):
        animal_soup.read(sx.open(ds.attrs["soupxr_store"]), df, overwrite=True)
    ((trials, results),) = wrote
    assert len(trials) == 2
    assert len(results) == 4
    assert_equal(holdings(ds.attrs["soupxr_store"]), before)
    _, report = animal_soup.read(sx.open(ds.attrs["soupxr_store"]), df, overwrite=True)
    assert report.trials == ("M1/S1/2",)


def test_nothing_in_a_dataframe_is_run(root, tmp_path):
    fuse = tmp_path / "ran"
    path = save(frame(model_params=[Bomb(fuse), Bomb(fuse)]), tmp_path / "df.hdf")
    fuse.unlink(missing_ok=True)
    ds, _ = animal_soup.read(new(root), path)
    assert ds.sizes["trial"] == 2
    assert not fuse.exists()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pd.read_hdf(path, "df")
    assert fuse.exists()  # so the bomb was one


def test_what_comes_back_is_what_pandas_reads(tmp_path):
    df = pd.DataFrame(
        {
            "text": ["a", "é"],
            "whole": [1, 2],
            "real": [0.5, np.nan],
            "yes": [True, False],
            "mixed": [1, "x"],
            "array": [np.arange(6).reshape(2, 3), np.zeros(2, np.float32)],
            "fortran": [np.asfortranarray(np.arange(6).reshape(2, 3)), None],
            "strings": [np.array(["a", "bc"]), np.array([], dtype=">i2")],
            "nested": [{"a": [1, (2, np.float64(3))]}, {"b": {"c": None}}],
        }
    )
    found = read_columns(save(df, tmp_path / "df.hdf"), "df")
    assert list(found) == list(df.columns)
    for name in ("text", "whole", "yes", "mixed"):
        assert list(found[name]) == df[name].tolist()
    np.testing.assert_array_equal(found["real"], df["real"])
    for name in ("array", "fortran", "strings"):
        for ours, theirs in zip(found[name], df[name], strict=True):
            assert (ours is None) == (theirs is None)
            if theirs is not None:
                np.testing.assert_array_equal(ours, theirs)
    assert found["nested"] == df["nested"].tolist()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_of_all_pickle_protocols(protocol):
    import io

    from soupxr.io.pandas_hdf import DEEPEST, _no_tensor, _rebuilt
    from soupxr.models.inert import Interpreter

    values = [
        np.arange(5, dtype=np.int64),
        np.array([[1.5, 2]], order="F"),
        {"p": pathlib.PurePosixPath("/a/b")},
    ]
    program = pickle.dumps(values, protocol)
    found = _rebuilt(Interpreter(_no_tensor).run(io.BytesIO(program)), DEEPEST)
    np.testing.assert_array_equal(found[0], values[0])
    np.testing.assert_array_equal(found[1], values[1])
    assert found[2] == {"p": "/a/b"}


def test_paths_of_another_machine(root, tmp_path):
    paths = [
        {
            view: rf"D:\lab\videos\M1\S1\reach_{view}_v{n:03d}.mp4"
            if n == 1
            else f"/home/x/videos/M1/S1/reach_{view}_v{n:03d}.mp4"
            for view in ("front", "side")
        }
        for n in (1, 2)
    ]
    ds, _ = animal_soup.read(new(root), save(frame(vid_paths=paths), tmp_path / "df.hdf"))
    assert ds.video_path.values[0].tolist() == [
        "M1/S1/reach_side_v001.mp4",
        "M1/S1/reach_front_v001.mp4",
    ]


def test_all_that_is_wrong_is_told_and_nothing_is_added(root, tmp_path):
    df = frame(cleaned_ethograms=[np.zeros((6, N + 9)), np.zeros((5, N))])
    (root / "M1" / "S1" / "outputs.h5").write_bytes(b"none")
    ds = new(root)
    with pytest.raises(FormatError) as error:
        animal_soup.read(ds, save(df, tmp_path / "df.hdf"))
    told = str(error.value)
    assert "df.hdf, row 0, cleaned_ethograms: has 25 frames, but the video has 16" in told
    assert "df.hdf, row 1, cleaned_ethograms: expected (6, frames), but got (5, 16)" in told
    assert "outputs.h5: this is not an HDF5 file" in told
    assert sx.open(ds.attrs["soupxr_store"]).sizes["trial"] == 0


def test_rows_that_name_no_trial(root, tmp_path):
    df = frame(trial_id=["trial_1", "none"], vid_paths=[{"front": "gone.mp4"}, 3])
    with pytest.raises(FormatError) as error:
        animal_soup.read(new(root), save(df, tmp_path / "df.hdf"))
    told = str(error.value)
    assert "row 1: expected an animal, a session and a number as trial" in told
    assert "row 0: vid_paths names no side video" in told
    assert "row 0: the front video gone.mp4 is neither there nor under data_root" in told


def test_files_that_are_none(root, tmp_path):
    ds = new(root)
    (tmp_path / "a.hdf").write_bytes(b"x" * 100)
    with pytest.raises(FormatError, match="not an HDF5 file"):
        animal_soup.read(ds, tmp_path / "a.hdf")
    with pytest.raises(FormatError, match="no such file"):
        animal_soup.read(ds, tmp_path / "b.hdf")
    path = save(frame(), tmp_path / "c.hdf", key="other")
    with pytest.raises(FormatError, match=r"under the key 'df', but the file has \['other'\]"):
        animal_soup.read(ds, path)
    path = save(frame().drop(columns="vid_paths"), tmp_path / "d.hdf")
    with pytest.raises(FormatError, match="vid_paths is not among"):
        animal_soup.read(ds, path)


def test_a_pickle_that_is_cut_off(root, tmp_path):
    path = save(frame(), tmp_path / "df.hdf")
    with h5py.File(path, "r+") as file:
        for name in file["df"]:
            if name.endswith("_values") and file["df"][name].dtype.kind == "O":
                file["df"][name][0] = file["df"][name][0][:40]
    with pytest.raises(FormatError, match="is damaged"):
        animal_soup.read(new(root), path)


def test_real_outputs(root, tmp_path, shared, film):
    import shutil

    shutil.copyfile(shared / "parity" / "files" / "soup_outputs.h5", root / "M1/S1/outputs.h5")
    for view in ("side", "front"):
        for n in (1, 12):
            film(root / f"M1/S1/reach_{view}_v{n:03d}.mp4", n_frames=14)
    df = frame()
    df["trial_id"] = [1, 12]
    df["vid_paths"] = [
        {view: f"M1/S1/reach_{view}_v{n:03d}.mp4" for view in ("front", "side")} for n in (1, 12)
    ]
    ds = new(root, behaviors=("a", "b"))
    ds, report = animal_soup.read(ds, save(df, tmp_path / "df.hdf"), names=("a", "b"))
    assert report.results == {"fast": ("M1/S1/1", "M1/S1/12")}
    assert report.annotations == {"cleaned": ("M1/S1/12",)}
    with h5py.File(root / "M1/S1/outputs.h5") as file:
        truth = np.asarray(file["12/fast/ethogram"]).T
    found = ds.sel(animal="M1", session="S1", trial_id=12).ethogram.sel(mode="fast").values
    np.testing.assert_array_equal(found[:14], truth)
    assert "mode slow of M1/S1/1: there is no ethogram yet" in repr(report)
