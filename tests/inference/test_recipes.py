"""The recipes of ``docs/cluster.md``, as far as they can be run on one machine."""

from __future__ import annotations

import os
import signal
import stat

import psutil
import pytest
from pages import until

distributed = pytest.importorskip("distributed")

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")

#: Starts the job on the spot, and is as brief about it as the real one.
SBATCH = """#!/bin/bash
here=$(dirname "$0")
cp "$1" "$here/job.sh"
setsid bash "$here/job.sh" > "$here/job.log" 2>&1 &
echo $! >> "$here/jobs"
echo "Submitted batch job $!"
"""


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """A folder with stand-ins for SLURM's commands, first in PATH."""
    commands = tmp_path / "slurm"
    commands.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", "#!/bin/bash\nkill -- -$1\n")):
        (commands / name).write_text(text)
        (commands / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    yield commands
    for job in (commands / "jobs").read_text().split():
        for process in _group(int(job)):
            process.send_signal(signal.SIGKILL)


def _group(leader: int) -> list[psutil.Process]:
    """Processes of a job that are still there."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getpgid(process.pid) == leader:
                found.append(process)
        except (ProcessLookupError, psutil.NoSuchProcess):
            continue
    return found


def test_slurm(new_store, models, slurm, tmp_path):
    jobqueue = pytest.importorskip("dask_jobqueue")
    ds = new_store(*KEYS)
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "videos").rename(elsewhere)
    cluster = jobqueue.SLURMCluster(
        cores=1,
        processes=1,
        memory="2GB",
        walltime="00:10:00",
        interface="lo",
        job_extra_directives=["--gres=gpu:1"],
        worker_extra_args=["--nthreads 1", "--resources GPU=1"],
        job_script_prologue=[f"export SOUPXR_DATA_ROOT={elsewhere}"],
        local_directory=str(tmp_path),
        scheduler_options={"dashboard_address": ":0"},
    )
    with cluster, distributed.Client(cluster) as client:
        cluster.scale(jobs=1)
        client.wait_for_workers(1)
        ds = ds.soup.infer("fast", **models(), client=client)
        assert "#SBATCH --gres=gpu:1" in (slurm / "job.sh").read_text()
    assert ds.status.sel(mode="fast").values.tolist() == [2, 2, 2]
    until(lambda: not _group(int((slurm / "jobs").read_text().split()[0])))
