"""What only a process of its own shows: exit codes, Ctrl+C, what is imported, questions."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys

import psutil
import pytest

import soupxr as sx
from soupxr.dataset import store_of

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")

#: Runs a command after whatever a test does before; Ctrl+C is heard even in the background.
RUN = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
{before}
from soupxr.cli import main
sys.argv[0] = "soupxr"
main()
"""

#: Ctrl+C is pressed at the so manyth write of a trial's results.
PRESS = """
import os
from soupxr.store import {module} as module
write, left = module.write, [{writes}]
def pressing(*arguments):
    left[0] -= 1
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGINT)
    write(*arguments)
module.write = pressing
"""


def run(*arguments, before="", **options):
    command = [sys.executable, "-c", RUN.format(before=before), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture
def store(new_store):
    return store_of(new_store(*KEYS)).address


def test_exit_codes_and_one_line_for_each_error(store, tmp_path):
    done = run("ls", store)
    assert (done.returncode, done.stderr) == (0, "")
    failed = run("add", store, "M7")
    assert failed.returncode == 1
    assert failed.stderr.startswith("soupxr: ")
    assert "Traceback" not in failed.stderr
    assert run("ls", tmp_path / "nowhere.zarr").returncode == 2


BROKEN = """
from soupxr.accessor import SoupAccessor
def broken(self):
    raise ZeroDivisionError("of course\\nand more")
SoupAccessor.trials = property(broken)
"""


def test_no_traceback_unless_it_is_asked_for(store):
    plain = run("ls", store, before=BROKEN)
    assert plain.returncode == 1
    assert len(plain.stderr.splitlines()) == 1
    assert "ZeroDivisionError: of course and more" in plain.stderr
    assert "--debug" in plain.stderr
    for arguments in (("--debug", "ls", store), ("ls", store, "--debug")):
        asked = run(*arguments, before=BROKEN)
        assert asked.returncode == 1
        assert "Traceback" in asked.stderr
        assert "in broken" in asked.stderr


def test_ctrl_c_in_add_leaves_the_store_as_it_was(new_store, lab, tmp_path):
    store = store_of(new_store(*KEYS[:2])).address
    lab("M2/S1/1")
    pressed = run("add", store, "M2", before=PRESS.format(module="membership", writes=3))
    assert pressed.returncode == 130, pressed.stderr
    assert pressed.stderr.startswith("Stopped. Each animal is added whole or not at all")
    assert "Traceback" not in pressed.stderr
    assert len(sx.open(store).soup.trials) == 2
    assert sx.open(store).soup.check().findings.query("severity == 'error'").empty


@pytest.mark.slow
def test_ctrl_c_in_infer_keeps_what_was_finished(store, models):
    options = [
        part
        for name, path in models().items()
        for part in (f"--{name.removesuffix('_in').replace('_', '-')}", path)
    ]
    pressed = run("infer", store, *options, before=PRESS.format(module="results", writes=24))
    assert pressed.returncode == 130, pressed.stderr
    assert "Every trial that was finished is in the store" in pressed.stderr
    assert "Traceback" not in pressed.stderr
    ds = sx.open(store)
    states = ds.soup.trials.fast.tolist()
    assert sorted(states) == ["complete", "none", "none"]
    assert ds.soup.check(videos=False).ok
    assert run("infer", store, *options, "--quiet").returncode == 0
    assert ds.soup.trials.fast.tolist() == ["complete"] * 3


def test_a_reader_that_goes_away_is_no_accident(store):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-c", RUN.format(before=""), "ls", store]
    try:
        ended = subprocess.run(
            command, stdout=write, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(write)
    assert "Traceback" not in ended.stderr
    assert "not expected" not in ended.stderr


#: The terminal is that of the process, so that it passes Ctrl+C on.
AT_TERMINAL = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
"""


#: After so long without a word, a key is pressed again.
AGAIN_S = 10.0


def answer(command, text):
    """Run a command at a terminal and answer its question."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    said = b""
    # Reading is an error once the terminal's other end is closed.
    with contextlib.suppress(OSError):
        while b"?" not in said:
            said += os.read(ours, 1024)
        while process.poll() is None:
            os.write(ours, text.encode())
            # A key that came a moment before it was waited for is pressed again, as people do.
            while select.select([ours], [], [], AGAIN_S)[0]:
                said += os.read(ours, 1024)
    os.close(ours)
    return process.wait(), said.decode()


#: Workers come to no end with all trials but one.
ENDLESS = """
def dask_setup(worker):
    import time
    from soupxr.inference.trial import _Work
    run = _Work.run
    def run_or_stay(work):
        if work.key != "M1/S1/1":
            time.sleep(3600)
        run(work)
    _Work.run = run_or_stay
"""


def press_ctrl_c(command, when):
    """Run a command at a terminal and press Ctrl+C once; also what was said from then on."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    said, before = b"", None
    # Reading is an error once the terminal's other end is closed by all that write there.
    with contextlib.suppress(OSError):
        while True:
            if select.select([ours], [], [], 0.1)[0]:
                said += os.read(ours, 1024)
            if before is None and when(process):
                before = len(said)
                os.write(ours, b"\x03")
    os.close(ours)
    return process.wait(), said.decode(), said[before:].decode()


@pytest.mark.slow
@pytest.mark.thorough
def test_ctrl_c_in_infer_ends_worker_processes_quietly(store, models, tmp_path, monkeypatch):
    """The terminal sends it to them, too. Two are in the middle of a trial."""
    pytest.importorskip("distributed")
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__PRELOAD", ENDLESS)
    leases, log, processes = tmp_path / "reach.zarr" / "leases", tmp_path / "run.jsonl", []

    def one_is_done_and_two_are_busy(process):
        if not log.exists() or '"trial"' not in log.read_text():
            return False
        processes[:] = psutil.Process(process.pid).children(recursive=True)
        return len(list(leases.glob("[0-9a-f]*"))) == 2

    options = [
        part
        for name, path in models().items()
        for part in (f"--{name.removesuffix('_in').replace('_', '-')}", str(path))
    ]
    command = [sys.executable, "-c", RUN.format(before=AT_TERMINAL), "infer", store, *options]
    code, said, after = press_ctrl_c(
        [*command, "--workers", "2", "--log", str(log)], one_is_done_and_two_are_busy
    )
    assert code == 130, said
    assert "Traceback" not in said
    assert "Stopped. Every trial that was finished is in the store" in after
    assert " - distributed" not in after
    assert len(processes) >= 2
    _, left = psutil.wait_procs(processes, timeout=60)
    assert not left
    ds = sx.open(store)
    assert sorted(ds.soup.trials.fast) == ["complete", "none", "none"]
    # They do not count as dead, of which three give a trial up.
    assert not list(leases.glob("[0-9a-f]*"))


def test_removing_is_asked_about(store):
    command = [sys.executable, "-c", RUN.format(before=AT_TERMINAL), "remove", store, "M1"]
    code, said = answer(command, "n\n")
    assert code == 0
    assert "Nothing was removed" in said
    assert "2 trials (24 frames)" in said
    code, said = answer(command, "\x03")
    assert code == 130, said
    assert len(sx.open(store).soup.trials) == 3
    code, said = answer(command, "y\n")
    assert code == 0
    assert len(sx.open(store).soup.trials) == 1


IMPORTED = """
import atexit
def tell():
    heavy = {"torch", "panel", "holoviews", "matplotlib", "bokeh", "distributed"} & set(sys.modules)
    print("heavy:", *sorted(heavy), file=sys.stderr)
atexit.register(tell)
"""


def test_commands_that_need_no_networks_import_none(store, lab, tmp_path):
    lab("M3/S1/1")
    for arguments in (
        ("--help",),
        ("infer", "--help"),
        ("create", tmp_path / "new.zarr", "--data-root", tmp_path / "videos"),
        ("add", store, "M3"),
        ("ls", store),
        ("check", store),
        ("remove", store, "M3", "--yes"),
    ):
        ended = run(*arguments, before=IMPORTED)
        assert ended.returncode == 0, ended.stderr
        assert ended.stderr.splitlines()[-1] == "heavy:", arguments
