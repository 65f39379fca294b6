"""Requests that one trial costs a store on S3, counted by a server that lives in this process."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np

import soupxr as sx
from soupxr.inference.between import Features
from soupxr.inference.engine import FeatureEngine
from soupxr.ingest import TrialRow
from soupxr.modes import BEHAVIORS
from soupxr.store import add_trials, leases

__all__ = ["count_requests"]

MODE = "fast"
N_FRAMES, FPS, SIDE = 2500, 500, 32
#: One trial, and some more: what a run costs beside its trials drops out of the difference.
MORE = 2
VIDEOS = ("side.mp4", "front.mp4")
#: A trial of this size takes a GPU a second, and no sign of life; on a busy CPU it may take longer.
NO_BEAT_S = 1e6


def count_requests(folder: Path, models: dict[str, Path]) -> dict[str, dict[str, float]]:
    """Requests of one trial of 2,500 frames, by what is asked for, with and without features."""
    for name in VIDEOS:
        _film(folder / "counted" / name)
    leases.BEAT_S = NO_BEAT_S
    FeatureEngine.extract = _random_features  # type: ignore[method-assign]
    with _server() as (url, counts):
        return {
            keep: _of_a_trial(url, counts, folder, models, keep) for keep in ("float32", "none")
        }


def _of_a_trial(
    url: str, counts: Counter[str], folder: Path, models: dict[str, Path], keep: str
) -> dict[str, float]:
    store = f"{url}/{uuid.uuid4().hex}.zarr"
    sx.create(store, folder / "counted")
    add_trials(store, [TrialRow("M1", "S1", i, VIDEOS, N_FRAMES, FPS) for i in range(2 + MORE)])
    found = []
    # The first run connects, and learns what a process has to learn once.
    for part in (slice(0, 1), slice(1, 2), slice(2, None)):
        ds = sx.open(store).isel(trial=part)
        counts.clear()
        ds.soup.infer(MODE, **models, features=keep)
        found.append(counts.copy())
    _, one, more = found
    cost = {name: (more[name] - one[name]) / (MORE - 1) for name in sorted(more)}
    reads = sum(cost.get(name, 0) for name in ("GET", "HEAD", "list"))
    return {"reads": reads, "writes": sum(cost.values()) - reads, **cost}


def _random_features(
    engine: FeatureEngine, blocks: Iterable[Any], *_: object
) -> Generator[Features, None, None]:
    """Features that are there at once: the store is asked for the same."""
    random = np.random.default_rng(0)
    for block in blocks:
        n, n_classes = len(block), 1 + len(BEHAVIORS)
        spatial, flow, logit = (
            random.random((n, width), dtype=np.float32) for width in (512, 512, n_classes)
        )
        yield Features(spatial, flow, logit)


def _film(path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    source = f"testsrc2=size={SIDE}x{SIDE}:rate={FPS}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", source]
    command += ["-frames:v", str(N_FRAMES), "-pix_fmt", "yuv420p", str(path)]
    subprocess.run(command, check=True)


# ------------------------------------------------------------------ the server


class _Counted:
    """A WSGI application whose requests are counted by kind."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.counts: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request."""
        asked = environ.get("QUERY_STRING", "")
        named = "list" if "list-type" in asked else "delete" if asked == "delete" else None
        self.counts[named or environ["REQUEST_METHOD"]] += 1
        answer: Iterable[bytes] = self._application(environ, start)
        return answer


@contextmanager
def _server() -> Iterator[tuple[str, Counter[str]]]:
    """An S3 server with a bucket; its URL and its counts."""
    import boto3
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    counted = _Counted(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, counted, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    told = {"ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "secret", "REGION": "us-east-1"}
    told |= {"ENDPOINT_URL": endpoint, "ALLOW_HTTP": "true"}
    os.environ.update({f"AWS_{name}": value for name, value in told.items()})
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
    client.create_bucket(Bucket="lab")
    try:
        yield "s3://lab", counted.counts
    finally:
        server.shutdown()
