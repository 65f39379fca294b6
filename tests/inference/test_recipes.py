"""The recipes of ``docs/cluster.md``, as far as they can be run on one machine."""

from __future__ import annotations

import getpass
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import types
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import dask
import psutil
import pytest
from pages import until

import soupxr as sx

distributed = pytest.importorskip("distributed")

pytestmark = [pytest.mark.slow, pytest.mark.thorough]

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "cluster.md"

#: What the recipe for Kubernetes comes to.
SCHEDULER = ("dask", "scheduler", "--host", "0.0.0.0")
WORKER = ("dask", "worker", "--nthreads", "1", "--name", "$(DASK_WORKER_NAME)")
WORKER += ("--dashboard", "--dashboard-address", "8788")


def recipe(title: str) -> str:
    """The Python below a heading that begins so."""
    _, section = PAGE.read_text(encoding="utf-8").split(f"\n### {title}")
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture
def world(new_store, models, tmp_path, monkeypatch):
    """Run a recipe as it stands, but for names of places; what it has made is returned.

    Small untrained networks stand in for the published ones.
    """
    new_store(*KEYS)
    paths = {name.removesuffix("_in"): path for name, path in models().items()}
    monkeypatch.setattr(
        "soupxr.inference.chosen.default_weights", lambda *_, **__: SimpleNamespace(**paths)
    )

    def run(title, places):
        text = recipe(title)
        store = re.search(r'sx\.open\("(.+?)"\)', text)[1]
        here = {store: str(tmp_path / "reach.zarr"), 'mode="medium"': 'mode="fast"'}
        for there, ours in (here | places).items():
            assert there in text
            text = text.replace(there, ours)
        ran = {"sx": sx}
        exec(compile(text, title, "exec"), ran)
        status = sx.open(tmp_path / "reach.zarr").status.sel(mode="fast")
        assert status.values.tolist() == [2, 2, 2]
        return ran

    return run


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


def test_slurm(world, slurm, tmp_path):
    pytest.importorskip("dask_jobqueue")
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "videos").rename(elsewhere)
    here = {"interface": "lo", "local-directory": str(tmp_path)}
    here["scheduler-options"] = {"dashboard_address": ":0"}
    with dask.config.set({"jobqueue.slurm": dask.config.get("jobqueue.slurm", {}) | here}):
        ran = world("SLURM", {"/shared/videos": str(elsewhere), "jobs=20": "jobs=1"})
    job = (slurm / "job.sh").read_text()
    for part in ("#SBATCH --gres=gpu:1", "--nthreads 1", "--resources GPU=1", str(elsewhere)):
        assert part in job
    assert (slurm / "jobs").read_text().count("\n") == 1
    ran["cluster"].close()
    until(lambda: not _group(int((slurm / "jobs").read_text().split()[0])))


@pytest.fixture
def ssh(tmp_path):
    """How to reach this machine by SSH: a server of the test's own, and a key that it knows."""
    server, keygen = (
        shutil.which("sshd", path=f"{os.defpath}:/usr/sbin"),
        shutil.which("ssh-keygen"),
    )
    if server is None or keygen is None:
        pytest.skip("no SSH server is installed (apt install openssh-server)")
    for name in ("host", "mine"):
        command = [keygen, "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(command, check=True)
    settings = {
        "ListenAddress": "127.0.0.1",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "mine.pub",
        "PidFile": "none",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        # A test's folder may be written by more people than SSH likes.
        "StrictModes": "no",
    }
    lines = [f"{name} {value}\n" for name, value in settings.items()]
    (tmp_path / "sshd_config").write_text("".join(lines))
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", exist_ok=True)  # it starts without this nowhere
    port, process = _serve_ssh(server, tmp_path)
    yield {
        "port": port,
        "username": getpass.getuser(),
        "client_keys": [str(tmp_path / "mine")],
        "known_hosts": None,
    }
    process.terminate()
    process.wait(60)


def _serve_ssh(server: str, folder: Path) -> tuple[int, subprocess.Popen]:
    """Start it on a port that is free; it cannot choose one by itself."""
    for _ in range(5):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = [server, "-D", "-e", "-p", str(port), "-f", str(folder / "sshd_config")]
        with (folder / "sshd.log").open("w") as log:
            process = subprocess.Popen(command, stderr=log)
        until(lambda: _is_listening(folder) or process.poll() is not None)  # noqa: B023
        if _is_listening(folder):
            return port, process
    raise AssertionError((folder / "sshd.log").read_text())


def _is_listening(folder: Path) -> bool:
    return "listening" in (folder / "sshd.log").read_text()


def test_ssh(world, ssh, monkeypatch):
    """Scheduler and workers are started through real connections."""
    pytest.importorskip("asyncssh")
    start = partial(
        distributed.SSHCluster,
        connect_options=ssh,
        scheduler_options={"port": 0, "dashboard_address": ":0"},
        remote_python=sys.executable,
    )
    monkeypatch.setattr("dask.distributed.SSHCluster", start)
    names = {f"lab-pc{number}": "127.0.0.1" for number in (1, 2, 3)}
    with world("SSH", names)["cluster"] as cluster, distributed.Client(cluster) as client:
        workers = client.run(os.getpid).values()
        assert len(set(workers) - {os.getpid()}) == 3
    until(lambda: not any(psutil.pid_exists(pid) for pid in workers))


@pytest.fixture
def pod(tmp_path):
    """Start a container's command: with the variables it is given, and no others of ours."""
    pods = []

    def start(*command: str, **env: str) -> None:
        home = tmp_path / f"pod-{len(pods)}"
        home.mkdir()
        env |= {"PATH": os.path.dirname(sys.executable), "HOME": str(home), "OMP_NUM_THREADS": "1"}
        with (home / "log").open("w") as log:
            pods.append(subprocess.Popen(command, cwd=home, env=env, stderr=log, stdout=log))

    yield start
    for process in pods:
        process.terminate()
    for process in pods:
        process.wait(60)


def _make_cluster_spec(*, name, image, n_workers, env, worker_command):
    """What dask-kubernetes 2026.3 makes of these, as far as commands go."""

    def pod(*args):
        return {"spec": {"containers": [{"image": image, "args": [*args]}]}}

    worker = pod(*worker_command, *WORKER[WORKER.index("--name") :])
    return {"spec": {"scheduler": pod("dask-scheduler", "--host", "0.0.0.0"), "worker": worker}}


def test_the_commands_of_pods(monkeypatch):
    """What dask-kubernetes, or its stand-in where it is not installed, makes of the recipe."""
    if importlib.util.find_spec("dask_kubernetes") is None:
        stand_in = types.ModuleType("dask_kubernetes.operator")
        stand_in.make_cluster_spec, stand_in.KubeCluster = _make_cluster_spec, None
        monkeypatch.setitem(sys.modules, "dask_kubernetes", types.ModuleType("dask_kubernetes"))
        monkeypatch.setitem(sys.modules, "dask_kubernetes.operator", stand_in)
    text, _ = recipe("Kubernetes").split("with KubeCluster")
    made = {}
    exec(compile(text, "Kubernetes", "exec"), made)
    for part, command in (("scheduler", SCHEDULER), ("worker", WORKER)):
        (container,) = made["spec"]["spec"][part]["spec"]["containers"]
        assert tuple(container["args"]) == command


def test_pods(s3, in_bucket, new_store, models, pod, tmp_path):
    """The commands of the recipe's containers; an object store is all they share.

    They find the scheduler as the operator tells them: by DASK_SCHEDULER_ADDRESS.
    """
    expected = new_store(*KEYS).soup.infer("fast", **models())
    ds = sx.create(f"{s3}/reach.zarr", in_bucket(tmp_path / "videos"))
    for animal in ("M1", "M2"):
        ds = ds.soup.add_item(animal, experiment=expected.experiment.values[0])
    scheduler = [{"0.0.0.0": "127.0.0.1"}.get(part, part) for part in SCHEDULER]
    told_by_it = tmp_path / "scheduler.json"
    pod(*scheduler, "--port", "0", "--dashboard-address", ":0", "--scheduler-file", str(told_by_it))
    until(lambda: told_by_it.exists() and told_by_it.read_text().endswith("}"))
    address = json.loads(told_by_it.read_text())["address"]
    told = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    for name in ("one", "two"):
        here = {"$(DASK_WORKER_NAME)": name, "8788": "0"}
        pod(*[here.get(part, part) for part in WORKER], DASK_SCHEDULER_ADDRESS=address, **told)
    with distributed.Client(address, timeout=60) as client:
        client.wait_for_workers(2, timeout=120)
        ds = ds.soup.infer("fast", **models(), client=client)
    for name in ("status", "error", "ethogram"):
        assert (ds[name].values == expected[name].values).all(), name
