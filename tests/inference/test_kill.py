"""Kill -9 at any moment: what is marked complete is complete, and the next call does the rest."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import soupxr as sx

KEYS = tuple(f"M{animal}/S1/{trial}" for animal in (1, 2) for trial in (1, 2, 3))
KILLS = 8


def infer_elsewhere(address, models):
    """Start ``infer`` in another process, which says when it begins."""
    arguments = {name: str(path) for name, path in models.items()}
    code = (
        "import soupxr as sx, torch, soupxr.inference.run\n"
        "sx.set_options(progress=False)\n"
        "print('ready', flush=True)\n"
        f"sx.open({str(address)!r}).soup.infer('fast', **{arguments!r})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.slow
def test_killed_at_random_points(new_store, models, tmp_path):
    reference = new_store(*KEYS, name="reference.zarr", n_frames=40)
    start = time.perf_counter()
    reference.soup.infer("fast", **models())
    duration = time.perf_counter() - start
    expected = reference.sel(mode="fast").load()

    ds = new_store(*KEYS, n_frames=40)
    draw = random.Random(20261123)
    progress = []
    for _ in range(KILLS):
        process = infer_elsewhere(tmp_path / "reach.zarr", models())
        time.sleep(draw.uniform(0.1, 0.6) * duration)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        found = sx.open(tmp_path / "reach.zarr").sel(mode="fast").load()
        complete = (found.status == 2).values
        progress.append(int(complete.sum()))
        for name in ("probability", "ethogram"):
            np.testing.assert_allclose(
                found[name][complete], expected[name][complete], atol=1e-6, err_msg=str(progress)
            )
        assert (found.provenance[complete] != "").all()
    assert progress == sorted(progress), "a committed trial was lost"
    assert progress[-1] > 0, "nothing was ever committed: the kills came too early to show anything"

    ds = ds.soup.infer("fast", **models())
    assert (ds.status.sel(mode="fast") == 2).all()
    np.testing.assert_allclose(ds.probability.sel(mode="fast"), expected.probability, atol=1e-6)
    for name in ("spatial", "flow", "logit"):
        np.testing.assert_allclose(
            ds.soup.features("fast")[name], reference.soup.features("fast")[name], atol=1e-4
        )


@pytest.mark.slow
def test_no_ffmpeg_outlives_a_killed_process(new_store, models, tmp_path):
    psutil = pytest.importorskip("psutil")
    new_store(*KEYS, n_frames=400, height=480, width=640)
    process = infer_elsewhere(tmp_path / "reach.zarr", models())
    decoders = []
    deadline = time.monotonic() + 60
    while not decoders and time.monotonic() < deadline:
        decoders = psutil.Process(process.pid).children(recursive=True)
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert decoders
    _, alive = psutil.wait_procs(decoders, timeout=20)
    assert not alive
