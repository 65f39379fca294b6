"""Fixtures that any test may use: films, labs of films, stores, checkpoints, the shared data."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import uuid
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from hypothesis import settings
from object_store import serve_s3

import soupxr as sx
from soupxr.store import leases

# Small networks gain nothing from threads, and threads that wait for each other on a busy machine
# make them a hundred times slower. Set before torch is imported; processes inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A property is tried with the same examples each time, so that a failure is of the change that is
# being tested; no time is measured, for other tests run beside it.
settings.register_profile("soupxr", deadline=None, derandomize=True)
settings.load_profile("soupxr")

#: Where temporary folders are made if there is room (bytes): a small file costs a twentieth there.
MEMORY, ROOM = "/dev/shm", 12 << 30

#: Real videos and golden outputs lie beside the checkout, where they are present.
SHARED = Path(__file__).resolve().parents[2] / "shared"

Film = Callable[..., Path]


def pytest_configure() -> None:
    """Have temporary folders made in memory, unless something else is asked for."""
    if _has_room(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


def _has_room(folder: str) -> bool:
    """Whether it takes what tests write, and lets them run what they write."""
    try:
        facts = os.statvfs(folder)
    except OSError:
        return False
    free = min(facts.f_bavail * facts.f_frsize, psutil.virtual_memory().available)
    return free > ROOM and not facts.f_flag & os.ST_NOEXEC


def pytest_collection_finish() -> None:
    """Spare the garbage collector the half a million objects of what was imported."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_progress_no_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SOUPXR_DATA_ROOT", raising=False)
    with sx.set_options(progress=False):
        yield


@pytest.fixture(autouse=True)
def _no_lease_left(_no_progress_no_environment: None) -> Iterator[None]:
    """A lease that is left would be renewed, and told of in the log, as long as other tests run."""
    yield
    left = list(leases._HEART._leases)
    for lease in left:
        lease.release()
    assert [lease._holder.what for lease in left] == [], "leases were left"


@pytest.fixture
def shared() -> Path:
    """Folder of real videos and goldens; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared data at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """Write a small video; equal ones are encoded once and copied."""
    shelf = tmp_path_factory.mktemp("films")

    def write(
        path: Path, n_frames: int = 12, height: int = 32, width: int = 48, fps: int = 100
    ) -> Path:
        # Films of different trials and views differ, so that a mix-up is seen.
        seed = zlib.crc32("/".join(path.parts[-3:]).encode())
        known = shelf / f"{seed}-{n_frames}-{height}x{width}-{fps}.mp4"
        if not known.exists():
            _encode(known, _moving_picture(seed, n_frames, height, width), fps)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(known, path)
        return path

    return write


def _moving_picture(seed: int, n_frames: int, height: int, width: int) -> np.ndarray:
    """uint8 (frame, y, x, 3): blocky noise that drifts, so that frames differ."""
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (-(-height // 8), -(-width // 8), 3), dtype=np.uint8)
    picture = coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width]
    return np.stack([np.roll(picture, (k, 2 * k), axis=(0, 1)) for k in range(n_frames)])


def _encode(path: Path, frames: np.ndarray, fps: int) -> None:
    _, height, width, _ = frames.shape
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "rawvideo"]
    command += ["-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(fps), "-i", "-"]
    command += ["-c:v", "libx264", "-g", "12", "-pix_fmt", "yuv420p", "-y", str(path)]
    subprocess.run(command, input=frames.tobytes(), check=True)


@pytest.fixture
def lab(tmp_path: Path, film: Film) -> Callable[..., Path]:
    """Make a data_root with films of trials, given as ``"animal/session/trial_id"``."""
    root = tmp_path / "videos"

    def make(*keys: str, views: tuple[str, ...] = ("side", "front"), **size: int) -> Path:
        _put_films(root, keys, views, film, size)
        return root

    return make


def _put_films(
    root: Path, keys: tuple[str, ...], views: tuple[str, ...], film: Film, size: dict[str, int]
) -> None:
    root.mkdir(exist_ok=True, parents=True)
    for key in keys:
        animal, session, trial_id = key.split("/")
        for view in views:
            film(root / animal / session / f"reach_{view}_v{int(trial_id):03d}.mp4", **size)


@pytest.fixture(scope="session")
def _stores(tmp_path_factory: pytest.TempPathFactory, film: Film) -> Callable[..., Path]:
    """Make a folder with a store of trials and their films; equal ones are made once."""
    shelf = tmp_path_factory.mktemp("stores")
    known: dict[str, Path] = {}

    def make(keys: tuple[str, ...], views: tuple[str, ...], options: dict[str, Any]) -> Path:
        sought = repr((keys, views, sorted(options.items())))
        if sought not in known:
            folder = shelf / str(len(known))
            size = {k: options.pop(k) for k in ("n_frames", "height", "width") if k in options}
            _put_films(folder / "videos", keys, views, film, size)
            ds = sx.create(folder / "reach.zarr", folder / "videos", views=views, **options)
            for animal in sorted({key.split("/")[0] for key in keys}):
                ds = ds.soup.add_item(animal, experiment="table")
            known[sought] = folder
        return known[sought]

    return make


@pytest.fixture
def new_store(tmp_path: Path, _stores: Callable[..., Path]):
    """Make a store of these trials, with their films in ``videos`` beside it."""

    def make(*keys: str, name: str = "reach.zarr", views=("side", "front"), **options):
        known = _stores(keys, views, options)
        shutil.copytree(known / "videos", tmp_path / "videos", dirs_exist_ok=True)
        shutil.copytree(known / "reach.zarr", tmp_path / name)
        return sx.open(tmp_path / name)

    return make


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory):
    """Checkpoints of untrained networks with fixed weights, as arguments of ``infer``."""
    import torch

    from soupxr.models import checkpoint
    from soupxr.models.tgmj import TGMJ
    from soupxr.models.two_stream import HiddenTwoStream
    from soupxr.modes import BEHAVIORS, MODES

    folder = tmp_path_factory.mktemp("models")

    def make(
        mode: str = "fast", image_size=(32, 32), behaviors=BEHAVIORS, seed: int = 0, **settings
    ) -> dict[str, Path]:
        settings = {
            "preprocessing": "antialias",
            "normalization": ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
            **settings,
        }
        told = str((tuple(behaviors), settings))
        stem = f"{mode}-{'x'.join(map(str, image_size))}-{seed}-{hash(told)}"
        paths = {
            name: folder / f"{stem}-{name}.ckpt"
            for name in ("flow_model_in", "feature_model_in", "sequence_model_in")
        }
        if paths["sequence_model_in"].exists():
            return paths
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            network = HiddenTwoStream(MODES[mode], 1 + len(behaviors))
            sequence = TGMJ(1 + len(behaviors))
        with torch.no_grad():
            # Untrained, its probabilities would hardly leave 0.5; these cross the thresholds.
            for branch in (sequence.classify1, sequence.classify2):
                branch[0].weight.mul_(15)
        common = {"mode": mode, "window": 11, "image_size": image_size, **settings}
        checkpoint.write(
            paths["flow_model_in"],
            kind="flow_generator",
            model=network.flow_generator,
            behaviors=None,
            **common,
        )
        checkpoint.write(
            paths["feature_model_in"],
            kind="feature_extractor",
            model=network,
            behaviors=behaviors,
            **common,
        )
        checkpoint.write(
            paths["sequence_model_in"],
            kind="sequence",
            mode=mode,
            model=sequence,
            behaviors=behaviors,
            window=None,
            image_size=None,
            preprocessing=None,
            normalization=None,
        )
        return paths

    return make


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[str]:
    """An S3 server on this machine, and its address."""
    with serve_s3() as address:
        yield address


@pytest.fixture
def new_bucket(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Make a bucket on a server, whose address the environment says from then on."""
    boto3 = pytest.importorskip("boto3")

    def make(server: str) -> str:
        told = {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
        told |= {"ENDPOINT_URL": server, "ALLOW_HTTP": "true"}
        for name, value in told.items():
            monkeypatch.setenv(f"AWS_{name}", value)
        name = f"lab-{uuid.uuid4().hex}"
        boto3.client("s3", endpoint_url=server, region_name="us-east-1").create_bucket(Bucket=name)
        return f"s3://{name}"

    return make


@pytest.fixture
def s3(_s3_server: str, new_bucket: Callable[[str], str]) -> str:
    """URL of a bucket of the test's own; the environment says how to reach it."""
    return new_bucket(_s3_server)


@pytest.fixture
def in_bucket(s3: str) -> Callable[[Path], str]:
    """Copy a folder of videos into the bucket, and say where it is there."""
    from soupxr.video.remote import as_root

    def copy(folder: Path) -> str:
        url = f"{s3}/{folder.name}"
        root = as_root(url)
        for path in sorted(folder.rglob("*.mp4")):
            (root / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())
        return url

    return copy
