"""A store on an object store does what one in a folder does."""

from __future__ import annotations

import os
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import obstore
import pandas as pd
import pytest
import zarr
from click.testing import CliRunner
from counting import counted
from processes import PROCESSES
from results import annotate

import soupxr as sx
from soupxr.cli import main
from soupxr.inference.engine import FeatureEngine
from soupxr.ingest import TrialRow
from soupxr.store import Store, add_trials
from soupxr.store.objects import zarr_store

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")


@pytest.fixture
def on_s3(s3, new_store, tmp_path):
    """A store in a bucket, with its videos on this machine, and the same in a folder."""
    folder = new_store(*KEYS, name="plain.zarr")
    ds = sx.create(f"{s3}/experiments/reach.zarr", tmp_path / "videos")
    for animal in ("M1", "M2"):
        ds = ds.soup.add_item(animal, experiment=folder.experiment.values[0])
    return ds, folder


def assert_equal(found, expected):
    found, expected = found.load(), expected.load()
    for name in ("probability", "ethogram", "annotation", "status", "error", "n_frames", "fps"):
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.thorough
def test_the_main_job(on_s3, models, tmp_path):
    ds, folder = on_s3
    labels = np.zeros((12, 6), dtype=np.int8)
    labels[3:7, 2] = 1
    done = []
    for one in (ds, folder):
        one = one.soup.infer("fast", **models())
        one.sel(animal="M1", session="S1", trial_id=2).soup.annotate(labels, annotator="Ana")
        done.append(sx.open(one.attrs["soupxr_store"]))
    found, expected = done
    assert_equal(found, expected)
    pd.testing.assert_frame_equal(found.soup.trials, expected.soup.trials)
    assert found.soup.bouts(annotator="Ana").equals(expected.soup.bouts(annotator="Ana"))
    scores = [one.soup.evaluate("fast", annotator="Ana") for one in done]
    np.testing.assert_array_equal(scores[0].f1, scores[1].f1)
    kept = found.soup.remove_item("M1", "S1", 1)
    assert kept.trial.values.tolist() == [("M1", "S1", 2), ("M2", "S1", 1)]
    assert kept.status.sel(mode="fast").values.tolist() == [2, 2]


def half_of(seed: int) -> np.ndarray:
    """Labels of a trial: each behavior in other six frames."""
    return np.stack([np.roll(np.repeat([1, 0], 6), seed + 2 * n) for n in range(6)], 1).astype("i1")


@pytest.mark.slow
@pytest.mark.thorough
def test_all_the_rest(on_s3, models, tmp_path):
    """What is replaced, decided anew, trained, cached, checked, and taken in and out."""
    checkpoints = models()
    done, tables = [], []
    for one in on_s3:
        address = one.attrs["soupxr_store"]
        one = one.soup.infer("fast", **checkpoints)
        for seed, key in enumerate(KEYS):
            one = annotate(one, key, half_of(seed), "Ana")
        one = one.soup.infer("fast", **checkpoints, thresholds=0.4, overwrite=True)
        assert Store(address).optional("replacement/fast")
        one.soup.optimize_thresholds("fast", annotator="Ana", on="all")
        one = one.soup.cache_frames((32, 32), progress=False)
        one = one.soup.drop_cache()
        table = tmp_path / f"bouts-{len(done)}.csv"
        sx.io.tables.write(one, table, annotator="Ana")
        one, report = sx.io.tables.read(one, table, annotator="Ben")
        assert report.annotations == {"Ben": KEYS}
        kept = Store(address).arrays["probability"]
        kept[0, 0, :4] = np.nan
        assert not one.soup.check(videos=False).ok
        one.soup.check(videos=False, repair=True)
        assert one.soup.check(videos=False).ok
        assert one.soup.trials.fast.tolist() == ["features", "complete", "complete"]
        one = one.soup.infer("fast", **checkpoints)
        trained = one.soup.sequence.train(
            "fast", model_out=tmp_path / f"run-{len(done)}", max_epochs=1, annotator="Ana"
        )
        own = checkpoints | {"sequence_model_in": trained.path}
        one = one.soup.infer("fast", **own, overwrite=True)
        done.append(sx.open(address))
        tables.append(table.read_text())
        said = CliRunner().invoke(main, ["ls", address, "--csv"]).output
        assert said.count("complete") == len(KEYS)
        assert CliRunner().invoke(main, ["check", address, "--no-videos"]).exit_code == 0
    assert_equal(*done)
    assert tables[0] == tables[1]


def _credentials() -> dict[str, str]:
    """What the environment says of S3; processes are forked from one that does not know it."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def _add(credentials: dict[str, str], address: str, animal: str, n: int) -> None:
    os.environ.update(credentials)
    for trial_id in range(n):
        row = TrialRow(animal, "S1", trial_id, ("a.mp4", "b.mp4"), 12, 100.0)
        add_trials(address, [row])


@pytest.mark.slow
@pytest.mark.thorough
def test_processes_that_add_at_the_same_time_lose_nothing(on_s3):
    ds, _ = on_s3
    address = ds.attrs["soupxr_store"]
    animals = ("A", "B", "C")
    processes = [
        PROCESSES.Process(target=_add, args=(_credentials(), address, name, 3)) for name in animals
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    keys = Store(address).keys()
    assert sorted(keys) == sorted([*KEYS, *(f"{a}/S1/{i}" for a in animals for i in range(3))])
    assert len(set(Store(address).slots(keys))) == len(keys)


def _infer(credentials: dict[str, str], address: str, models: dict, start, told) -> None:
    os.environ.update(credentials)
    sx.set_options(progress=False)
    seen: list[int] = []
    FeatureEngine._forward = counted(seen)
    ds = sx.open(address)
    start.wait()
    ds.soup.infer("fast", **models)
    told.send(sum(seen))


@pytest.mark.slow
@pytest.mark.thorough
def test_two_runs_share_the_trials(on_s3, models):
    ds, folder = on_s3
    address = ds.attrs["soupxr_store"]
    at_once, (ours, theirs) = PROCESSES.Barrier(2), PROCESSES.Pipe()
    arguments = (_credentials(), address, models(), at_once, theirs)
    processes = [PROCESSES.Process(target=_infer, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert_equal(sx.open(address), folder.soup.infer("fast", **models()))
    assert sum(ours.recv() for _ in processes) == int(folder.n_frames.sum())


def test_a_store_that_is_not_there(s3):
    with pytest.raises(sx.StoreError, match=r"expected a soupxr store.*soupxr\.create"):
        sx.open(f"{s3}/nowhere.zarr")


def test_a_bucket_that_is_not_there(s3, tmp_path):
    for call in (lambda url: sx.create(url, tmp_path), sx.open):
        with pytest.raises(sx.StoreError, match="no-such-bucket") as told:
            call("s3://no-such-bucket/reach.zarr")
        # One line for people, and nothing of how the library keeps it.
        assert "\n" not in str(told.value)
        assert " { " not in str(told.value)
        assert len(str(told.value)) < 250


def test_a_store_is_not_made_twice(on_s3, tmp_path):
    ds, _ = on_s3
    with pytest.raises(sx.StoreError, match="there is one"):
        sx.create(ds.attrs["soupxr_store"], tmp_path)


def test_of_two_that_make_a_store_at_once_one_does(s3, tmp_path, monkeypatch):
    """Both have seen that nothing is there before either begins."""
    looked, look = threading.Barrier(2), obstore.list_with_delimiter

    def look_together(*args):
        found = look(*args)
        looked.wait(timeout=60)
        return found

    def create(views):
        try:
            return sx.create(f"{s3}/reach.zarr", tmp_path, views=views)
        except sx.StoreError as refused:
            return refused

    monkeypatch.setattr(obstore, "list_with_delimiter", look_together)
    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(create, [("side",), ("side", "front")]))
    monkeypatch.undo()
    (refused,) = (one for one in made if isinstance(one, sx.StoreError))
    (ds,) = (one for one in made if one is not refused)
    assert "expected nothing there" in str(refused)
    assert sx.open(f"{s3}/reach.zarr").identical(ds)


def test_what_lies_in_the_bucket_is_zarr_and_nothing_else(on_s3):
    ds, _ = on_s3
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        group = zarr.open_group(zarr_store(ds.attrs["soupxr_store"]), mode="r")
        assert {"trial", "ethogram", "features"} <= {name for name, _ in group.members()}


def test_marks_are_read_from_those_that_were_written(on_s3):
    ds, _ = on_s3
    store = Store(ds.attrs["soupxr_store"])
    store.arrays["status"][0, 1] = 2
    assert store.statuses("fast", [2, 1, 0]).tolist() == [0, 2, 0]
    assert store.statuses("slow", [0, 1]).tolist() == [0, 0]


def test_threads_may_share_a_connection(on_s3):
    ds, _ = on_s3
    address = ds.attrs["soupxr_store"]
    with ThreadPoolExecutor(4) as pool:
        assert set(map(tuple, pool.map(lambda _: Store(address).keys(), range(8)))) == {KEYS}
