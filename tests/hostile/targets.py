"""What is done with hostile input, in a process of its own (see ``cage``).

Each function does what a user would do with such a file, and looks at what comes of it; it returns
or raises a SoupError, and anything else is a flaw.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["checkpoint", "film", "imported", "metrics", "store", "video_path"]


def film(content: tuple[str, bytes], folder: Path) -> None:
    """Probe, read a few frames here and there, and count."""
    from soupxr.video import VideoReader, probe
    from soupxr.video.probe import count_by_decoding

    name, data = content
    path = folder / name
    path.write_bytes(data)
    info = probe(path)
    assert 0 < info.n_frames <= len(data)
    assert np.isfinite(info.fps)
    assert info.fps > 0
    assert info.height * info.width <= 2**26
    with VideoReader(path, info) as reader:
        last = min(info.n_frames, 8)
        head = reader.read(0, last)
        assert head.shape == (last, info.height, info.width, 3)
        tail = reader.read(info.n_frames - 1, info.n_frames)
        again = reader.read(last - 1, last)
        same = (again[0] == head[-1]).all()
        if info.n_frames <= 8:
            same &= (head[-1] == tail[0]).all()
        # What ffmpeg puts in the place of damaged blocks depends on its threads, or on nothing.
        assert same or info.codec == "ffv1" or _complains(path)
    assert count_by_decoding(str(path)) == info.n_frames


def _complains(path: Path) -> bool:
    from soupxr.video.ffmpeg import Ffmpeg, source

    run = Ffmpeg(str(path), ["-v", "error", *source(str(path)), "-f", "null", "-"])
    try:
        return bool(run.finish() or run.words)
    finally:
        run.close()


def checkpoint(content: tuple[str, bytes], folder: Path) -> None:
    """Read a checkpoint, say what it is, and make its network."""
    import torch

    from soupxr.models import checkpoint

    name, data = content
    path = folder / name
    path.write_bytes(data)
    found = checkpoint.read(path)
    assert repr(found)
    for value in found.state_dict.values():
        value.numpy(force=True).sum()
    model = found.build()
    assert all(isinstance(weight, torch.Tensor) for weight in model.state_dict().values())


def metrics(content: tuple[bytes, bytes], folder: Path) -> None:
    """Read a checkpoint of a run with such a metrics file; its thresholds are right or absent."""
    from soupxr.models import checkpoint

    (folder / "last.ckpt").write_bytes(content[0])
    (folder / "classification_metrics.h5").write_bytes(content[1])
    found = checkpoint.read(folder / "last.ckpt").thresholds
    assert found is None or (len(found) == 4 and all(0 <= one <= 1 for one in found))


def store(content: tuple[str, dict[str, bytes]], folder: Path) -> None:
    """Open a copy of a store in which some files are others, look at all of it and change it."""
    import shutil

    import soupxr as sx
    from soupxr.check import check_store
    from soupxr.ingest import TrialRow
    from soupxr.store import Store, add_trials

    good, files = content
    path = folder / "reach.zarr"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(good, path)
    for name, data in files.items():
        (path / name).write_bytes(data)
    (folder / "videos").mkdir(exist_ok=True)
    rows = [TrialRow("Z", "S1", 1, ("a.mp4", "b.mp4"), 12, 100.0)]
    _all_of(
        lambda: _look_at(sx.open(path)),
        lambda: check_store(str(path), videos=False, progress=False),
        lambda: _label(sx.open(path)),
        lambda: add_trials(str(path), rows),
        lambda: sx.open(path).soup.remove_item(Store(str(path)).keys()[0].partition("/")[0]),
    )


def _all_of(*acts: Callable[[], object]) -> None:
    """Do one after the other, whatever becomes of those before; raises the first refusal."""
    import soupxr as sx

    refused = []
    for act in acts:
        try:
            act()
        except sx.SoupError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def _label(ds: Any) -> None:
    one = ds.isel(trial=slice(0, 1))
    if one.sizes["trial"]:
        shape = (int(one["n_frames"].values[0]), one.sizes["behavior"])
        one.soup.annotate(np.zeros(shape, np.int8), annotator="Zoe", overwrite=True)


def _look_at(ds: Any) -> None:
    assert repr(ds.soup)
    assert repr(ds)
    assert len(ds.soup.trials) == ds.sizes["trial"]
    for annotator in ds["annotator"].values[:2]:
        ds.soup.bouts(annotator=annotator)
    ds.soup.bouts(mode="fast")
    for trial in range(min(2, ds.sizes["trial"])):
        assert ds["annotation"].isel(trial=trial).values.size
    assert ds["fps"].values.ndim == 1
    assert ds["experiment"].values.ndim == 1
    assert ds.soup.models is not None


def video_path(content: tuple[str, str], folder: Path) -> None:
    """Ask for the video of a trial whose store says that it is there."""
    import shutil

    import soupxr as sx
    from soupxr.store import Store
    from soupxr.store.zarrs import write

    good, named = content
    path = folder / "reach.zarr"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(good, path)
    write(Store(str(path)).arrays["video_path"], 0, np.array([named, named], dtype=object))
    ds = sx.open(path).sel(animal="M1", session="S1", trial_id=1)
    ds.soup.video().isel(frame=0).values.sum()


def imported(content: tuple[str, str, str, bytes], folder: Path) -> None:
    """Read a file of another program that lies in a copy of a lab (see ``imports``).

    What is refused leaves the store as it was, to the byte; what is taken leaves a valid one.
    Everything else in the lab stays as it is, whatever happens.
    """
    import shutil
    import tempfile

    import soupxr as sx

    good, kind, name, data = content
    sx.set_options(progress=False)
    lab = next(folder.glob("lab*"), None)
    if lab is None:
        # Of another name each time: a path is not expected to become another store.
        lab = Path(tempfile.mkdtemp(prefix="lab", dir=folder))
        shutil.copytree(good, lab, dirs_exist_ok=True)
    there = (lab / name).read_bytes() if (lab / name).exists() else None
    (lab / name).write_bytes(data)
    before = _held(lab)
    address = lab / ("mice.zarr" if kind == "deepethogram" else "reach.zarr")
    is_refused = True
    try:
        ds, report = _readers()[kind](sx.open(address), lab / name)
        is_refused = False
        assert repr(report)
        assert ds.sizes["trial"] >= 1
    finally:
        if is_refused:
            assert _held(lab) == before
            if there is None:
                (lab / name).unlink()
            else:
                (lab / name).write_bytes(there)
        else:
            new = {name: data for name, data in _held(lab).items() if address.name not in name}
            found = sx.open(address).soup.check(videos=False)
            shutil.rmtree(lab)
            assert found.ok, found
            assert new == {name: data for name, data in before.items() if address.name not in name}


def _held(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if not path.is_dir())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def _readers() -> dict[str, Callable[[Any, Path], Any]]:
    """What a user would type for a file; the reader finds those that belong to it."""
    from soupxr.io import animal_soup, boris, deepethogram, jaaba, tables

    return {
        "boris": lambda ds, path: boris.read(ds, path, annotator="Ana"),
        "tables": lambda ds, path: tables.read(
            ds, path.with_name(path.name.removesuffix(".provenance.json"))
        ),
        "animal_soup": lambda ds, path: animal_soup.read(
            ds, path if path.suffix == ".hdf" else path.parents[3] / "df.hdf"
        ),
        "deepethogram": lambda ds, path: deepethogram.read(
            ds, path.parent if path.suffix == ".yaml" else path.parents[2]
        ),
        "jaaba": lambda ds, path: jaaba.read(ds, path),
    }
