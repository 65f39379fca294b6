"""Kill -9 at any moment: what is marked complete is complete, and the next call does the rest."""

import os
import random
import signal
import time

import numpy as np
import psutil
import pytest
from processes import PROCESSES, kill_after

import soupxr as sx

KEYS = tuple(f"M{animal}/S1/{trial}" for animal in (1, 2) for trial in (1, 2, 3))
KILLS = 6
#: A victim that was done before it was to die is none.
ENDS = (-signal.SIGKILL, 0)
#: Assignments to the store with which one trial is inferred.
WRITES_A_TRIAL = 17


def infer_until_killed(address, models, writes, delay, options, ready):
    """Infer, and be killed a little after the given number of writes to the store."""
    from soupxr.inference import trial
    from soupxr.store import results

    # These deaths come from outside: no trial is to blame, however often one hits it.
    trial.MOST_DEATHS = 10**9
    kill_after(results, writes, delay)
    sx.set_options(progress=False)
    ready.send("ready")
    sx.open(address).soup.infer("fast", **models, **options)


def start_victim(address, models, writes=10**9, delay=0.0, **options):
    """Start ``infer`` in another process; it has read nothing yet when this returns."""
    ready, its_end = PROCESSES.Pipe(duplex=False)
    arguments = (str(address), models, writes, delay, options, its_end)
    process = PROCESSES.Process(target=infer_until_killed, args=arguments)
    process.start()
    its_end.close()
    assert ready.recv() == "ready"
    ready.close()
    return process


def end_of(victim):
    """Exit status, once it has ended."""
    victim.join(120)
    status = victim.exitcode
    victim.close()
    return status


@pytest.mark.slow
@pytest.mark.thorough
def test_killed_at_random_points(new_store, models, tmp_path):
    reference = new_store(*KEYS, name="reference.zarr")
    expected = reference.soup.infer("fast", **models()).sel(mode="fast").load()

    ds = new_store(*KEYS)
    draw = random.Random(20261123)
    progress = [0]
    for _ in range(KILLS):
        writes = draw.randint(1, 2 * WRITES_A_TRIAL)
        delay = draw.choice([0.0, draw.uniform(0, 0.02), draw.uniform(0, 0.3)])
        victim = start_victim(tmp_path / "reach.zarr", models(), writes, delay)
        assert end_of(victim) in ENDS
        found = ds.sel(mode="fast").load()
        ds = sx.open(tmp_path / "reach.zarr")
        complete = (found.status == 2).values
        progress.append(int(complete.sum()))
        for name in ("probability", "ethogram"):
            np.testing.assert_allclose(
                found[name][complete], expected[name][complete], atol=1e-6, err_msg=str(progress)
            )
        assert (found.provenance[complete] != "").all()
        assert not (found.status == 3).any()
    assert progress == sorted(progress), "a committed trial was lost"
    assert progress[-1] > 0, "nothing was committed: the kills came too early to show anything"

    ds = ds.soup.infer("fast", **models())
    assert (ds.status.sel(mode="fast") == 2).all()
    np.testing.assert_allclose(ds.probability.sel(mode="fast"), expected.probability, atol=1e-6)
    stored, true = (x.soup.features("fast") for x in (ds, reference))
    for name in ("spatial", "flow", "logit"):
        np.testing.assert_allclose(stored[name], true[name], atol=1e-4)


@pytest.mark.slow
@pytest.mark.thorough
def test_a_kill_while_features_are_replaced_never_mixes_old_and_new(new_store, models, tmp_path):
    """Whatever is vouched for afterwards, the first models' results can be had again, exactly."""
    expected = new_store("M1/S1/1").soup.infer("fast", **models()).load()
    for writes in range(1, WRITES_A_TRIAL, 4):
        address = tmp_path / "reach.zarr"
        assert end_of(start_victim(address, models(seed=1), writes, overwrite=True)) in ENDS
        ds = sx.open(tmp_path / "reach.zarr").soup.infer("fast", **models(), overwrite=True)
        np.testing.assert_allclose(ds.probability, expected.probability, atol=1e-6)


@pytest.mark.slow
def test_no_ffmpeg_outlives_a_killed_process(new_store, models, tmp_path):
    new_store(*KEYS[:1], n_frames=400, height=480, width=640)
    victim = start_victim(tmp_path / "reach.zarr", models())
    decoders = []
    deadline = time.monotonic() + 60
    while not decoders and time.monotonic() < deadline:
        decoders = psutil.Process(victim.pid).children(recursive=True)
        time.sleep(0.01)
    os.kill(victim.pid, signal.SIGKILL)
    assert end_of(victim) == -signal.SIGKILL
    assert decoders
    _, alive = psutil.wait_procs(decoders, timeout=20)
    assert not alive
