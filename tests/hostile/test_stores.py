"""Stores: metadata and chunks damaged anywhere, and paths that lead out of ``data_root``."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import targets
from hostile.cage import Case, Opened, failures, try_all
from hostile.mutate import mutated

import soupxr as sx
from soupxr.ingest import TrialRow
from soupxr.store import add_trials

VIDEOS = ("M1/S1/a_side_v1.mp4", "M1/S1/a_front_v1.mp4")


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    (folder / "videos").mkdir()
    sx.create(folder / "reach.zarr", folder / "videos")
    rows = [TrialRow("M1", "S1", number, VIDEOS, 20, 100.0) for number in (1, 2)]
    add_trials(str(folder / "reach.zarr"), rows)
    ds = sx.open(folder / "reach.zarr")
    for number in (1, 2):
        one = ds.sel(animal="M1", session="S1", trial_id=number)
        one.soup.annotate(np.ones((20, 6), np.int8), annotator="Ana")
    return folder / "reach.zarr"


def _files(store: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(store)): path for path in store.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in sorted(found.items())}


def _told(store: Path) -> tuple[str, ...]:
    # A store is named by its place, a trial of it by its key.
    return ("reach.zarr", "M1/S1/")


def test_damaged_stores_are_read_or_refused(good, seeds, tmp_path):
    files = _files(good)
    names = list(files)

    def cases():
        for seed in seeds(0.1, 120):
            name = random.Random(seed).choice(names)
            content = (str(good), {name: mutated(files[name], seed, [files["zarr.json"]])})
            yield Case(f"{name}, seed {seed}", content, _told(good))

    outcomes = try_all("stores", targets.store, cases(), tmp_path)
    assert not failures(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"right", "refused"}


# ------------------------------------------------------------------ metadata that is well formed

ODD = [
    *[None, True, -1, 0, 1, 10**6, 10**12, 2**63, 1.5, "", "x", "../../etc", "/etc", [], {}, [0]],
    *[[10**12], [-1], [1, 1], ["x"], {"a": 1}, "NaN", "pickle", "|O", "http://127.0.0.1:9/"],
    *[{"name": "bytes"}, [{"name": "pickle"}], [{"name": "numcodecs.pickle", "configuration": {}}]],
    *[[{"name": "sharding_indexed", "configuration": {"chunk_shape": [10**9]}}], "x" * 10_000],
]


def test_metadata_of_any_kind(good, seeds, tmp_path):
    files = {name: data for name, data in _files(good).items() if name.endswith("zarr.json")}
    names = sorted(files)

    def cases():
        for seed in seeds(0.1, 150):
            chance = random.Random(seed)
            name = chance.choice([*names, "zarr.json", "zarr.json"])
            tree = json.loads(files[name])
            told = _replace(tree, chance)
            content = (str(good), {name: json.dumps(tree).encode()})
            yield Case(f"{name}, seed {seed}: {told}", content, _told(good))

    outcomes = try_all("store metadata", targets.store, cases(), tmp_path)
    assert not failures(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"right", "refused"}


def _replace(tree: Any, chance: random.Random) -> str:
    places = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    if not places:
        return "nothing"
    place = chance.choice(places)
    below = tree[place]
    if isinstance(below, dict | list) and below and chance.random() < 0.75:
        return f"{place}/{_replace(below, chance)}"
    if isinstance(tree, dict) and chance.random() < 0.15:
        del tree[place]
        return f"no {place}"
    tree[place] = chance.choice(ODD)
    return f"{place} = {tree[place]!r:.60}"


def _with(good: Path, tmp_path: Path, column: str, values: list[Any]) -> Any:
    """The store with other values in a column, written as the library itself would."""
    import shutil

    from soupxr.store import Store
    from soupxr.store.zarrs import as_column, write

    shutil.copytree(good, tmp_path / "reach.zarr")
    store = Store(str(tmp_path / "reach.zarr"))
    write(store.arrays[column], slice(0, 2), as_column(column, values))
    return sx.open(tmp_path / "reach.zarr")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("fps", float("nan")), ("fps", 0.0), ("fps", -5.0), ("fps", float("inf")),
        ("n_frames", -1), ("n_frames", 0), ("n_frames", 10**12), ("n_frames", 21),
        ("animal", "../.."), ("session", "other"), ("trial_id", -7),
    ],
)  # fmt: skip
def test_trials_that_cannot_be(column, value, good, tmp_path):
    fine = {"fps": 100.0, "n_frames": 20, "animal": "M1", "session": "S1", "trial_id": 2}[column]
    ds = _with(good, tmp_path, column, [value, fine])
    with pytest.raises(sx.errors.SoupError, match=r"M1/S1/1|reach\.zarr"):
        ds.soup.bouts(annotator="Ana")


def test_marks_that_are_none_commit_nothing(good, tmp_path):
    import shutil

    shutil.copytree(good, tmp_path / "reach.zarr")
    marks = tmp_path / "reach.zarr" / "status" / "c" / "0"
    marks.mkdir(parents=True)
    (marks / "0").write_bytes(b"\x4d")
    (marks / "1").write_bytes(b"")
    ds = sx.open(tmp_path / "reach.zarr")
    assert ds.soup.trials["fast"].tolist() == ["none", "none"]


# ------------------------------------------------------------------ out of data_root

OUTSIDE = [
    "../secret.mp4", "M1/../../secret.mp4", "M1/S1/../../../secret.mp4", "..\\secret.mp4",
    "{root}/secret.mp4", "/etc/passwd", "C:\\secret.mp4", "\\\\host\\share\\x.mp4", "//host/x.mp4",
    "http://127.0.0.1:9/secret.mp4", "file:{root}/secret.mp4", "file://{root}/secret.mp4",
    "concat:{root}/secret.mp4", "pipe:0", "-i", "", ".", "M1", "x\0y", "~/secret.mp4", "a" * 5000,
    "$(touch ran)", "`touch ran`", "; touch ran", "M1/S1/|touch ran", "%2e%2e/secret.mp4",
]  # fmt: skip


def test_videos_outside_data_root_are_not_opened(good, tmp_path, short_film):
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(short_film("plain.mp4").read_bytes())
    (tmp_path / "videos").mkdir()
    watch = Opened(secret)
    cases = []
    for path in OUTSIDE:
        named = path.replace("{root}", str(tmp_path))
        cases.append(
            Case(f"video {path!r:.60}", (str(good), named), ("video", "expected", "frames"))
        )
    outcomes = try_all("video paths", targets.video_path, cases, tmp_path)
    assert not failures(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"refused"}
    assert not watch
    watch.close()
    assert not list(tmp_path.rglob("ran"))


@pytest.mark.parametrize(
    "root", ["/etc", "../../etc", "http://127.0.0.1:9/", "\0", "~root", "s3://x"]
)
def test_a_data_root_that_is_elsewhere_gives_nothing_but_videos(root, good, tmp_path):
    import shutil

    shutil.copytree(good, tmp_path / "reach.zarr")
    path = tmp_path / "reach.zarr" / "zarr.json"
    tree: dict[str, Any] = json.loads(path.read_text())
    tree["attributes"]["data_root"] = root
    path.write_text(json.dumps(tree))
    ds = sx.open(tmp_path / "reach.zarr").sel(animal="M1", session="S1", trial_id=1)
    with pytest.raises(sx.errors.SoupError):
        ds.soup.video()


def test_stores_of_an_older_format_are_not_opened(tmp_path):
    """Their arrays could be packed by a codec that runs a program."""
    ran: Callable[[], bool] = (tmp_path / "ran").exists
    folder = tmp_path / "old.zarr"
    for name in ("", "trial", "fps"):
        place = folder / name
        place.mkdir(exist_ok=True, parents=True)
        (place / ".zgroup").write_text('{"zarr_format": 2}')
        (place / ".zattrs").write_text('{"soupxr_schema": 1}')
    with pytest.raises(sx.errors.StoreError, match=r"old\.zarr"):
        sx.open(folder)
    assert not ran()
