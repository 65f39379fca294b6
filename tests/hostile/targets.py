"""What is done with hostile input, in a process of its own (see ``cage``).

Each function does what a user would do with such a file, and looks at what comes of it; it returns
or raises a SoupError, and anything else is a flaw.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

__all__ = ["checkpoint", "film", "metrics"]


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
    """Open a copy of a store in which some files are others, and look at all of it."""
    import shutil

    import soupxr as sx

    good, files = content
    path = folder / "reach.zarr"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(good, path)
    for name, data in files.items():
        (path / name).write_bytes(data)
    (folder / "videos").mkdir(exist_ok=True)
    ds = sx.open(path)
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
