"""Where hostile input is tried: a process of its own, bounded and watched.

The process may use only so much memory and time, and tells of what it must not do: start a program
other than ffmpeg (or any by a shell), connect to anything, or write outside the folder that it was
given. Many inputs go through one process, because its imports take longer than they do.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from processes import PROCESSES

__all__ = ["TRIED", "Case", "Opened", "Outcome", "failures", "try_all"]

#: Inputs tried in this run, and what became of them, by area.
TRIED: Counter[tuple[str, str]] = Counter()

#: Memory (bytes) that one process may take beyond what its imports take.
MEMORY = 1 << 30
#: What one ffmpeg may take.
MEMORY_OF_FFMPEG = 3 << 30
#: Seconds of a processor that one input may take; and seconds in all, on a machine that others use
#: as well.
SECONDS, PATIENCE = 20.0, 240.0
#: Longest message (characters) that anybody would read.
LONGEST = 20_000

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Case:
    """One input.

    Parameters
    ----------
    name : str
        Tells how to make it again: area, kind and seed.
    value : object
        What the target gets; it can be pickled.
    told : tuple of str
        A message of refusal has to hold one of these.
    """

    name: str
    value: Any
    told: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What became of an input.

    Parameters
    ----------
    case : Case
        The input.
    kind : str
        ``"right"``, ``"refused"``, or what is wrong.
    words : str
        The message, or more on what is wrong.
    """

    case: Case
    kind: str
    words: str = ""


Target = Callable[[Any, Path], object]


def try_all(area: str, target: Target, cases: Iterable[Case], folder: Path) -> list[Outcome]:
    """Try inputs one after the other; a process that hangs or dies is replaced.

    Parameters
    ----------
    area : str
        Under which they are counted.
    target : callable
        Gets the value and a folder; a function of a module, and harmless where it returns.
    cases : iterable of Case
        The inputs.
    folder : Path
        All that the target may write to.
    """
    outcomes = []
    with contextlib.ExitStack() as stack:
        cage: _Cage | None = None
        for case in cases:
            if cage is None or not cage.alive:
                cage = stack.enter_context(_Cage(target, folder))
            outcomes.append(cage.run(case))
            TRIED[area, outcomes[-1].kind] += 1
    return outcomes


def failures(outcomes: Sequence[Outcome]) -> str:
    """Everything that is wrong, for an assertion; empty where nothing is."""
    wrong = [_judged(outcome) for outcome in outcomes]
    return "\n".join(words for words in wrong if words)[:LONGEST]


def _judged(outcome: Outcome) -> str:
    case, kind, words = outcome.case, outcome.kind, outcome.words
    if kind == "right":
        return ""
    if kind != "refused":
        return f"{case.name}: {kind}: {words}"
    if len(words) > LONGEST:
        return f"{case.name}: a message of {len(words)} characters: {words[:300]}"
    if case.told and not any(name in words for name in case.told):
        return f"{case.name}: the message names none of {case.told}: {words[:600]}"
    return ""


class _Cage:
    """One process, and the pipe to it."""

    def __init__(self, target: Target, folder: Path) -> None:
        self._pipe, theirs = PROCESSES.Pipe()
        self._process = PROCESSES.Process(
            target=_serve, args=(theirs, target, str(folder)), daemon=False
        )
        self._process.start()
        theirs.close()
        self.alive = True

    def __enter__(self) -> _Cage:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, case: Case) -> Outcome:
        """Try one input."""
        self._pipe.send(case.value)
        try:
            if not self._pipe.poll(PATIENCE):
                self._end()
                return Outcome(case, "hung", f"no end after {PATIENCE:.0f} seconds")
            kind, words = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            self.alive = False
            return Outcome(case, "died", f"exit code {self._process.exitcode}")
        return Outcome(case, kind, words)

    def _end(self) -> None:
        self.alive = False
        self._pipe.close()
        self._process.join(5)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()


def _serve(pipe: Connection, target: Target, folder: str) -> None:
    """Life of the process: try what comes until the pipe closes."""
    warnings.simplefilter("ignore")
    import h5py  # noqa: F401
    import torch

    import soupxr  # noqa: F401

    torch.set_num_threads(1)
    watch = _Watch(folder)
    base = _peak(resource.RUSAGE_SELF)
    _limit(MEMORY)
    while True:
        try:
            value = pipe.recv()
        except EOFError:
            os._exit(0)
        began = time.process_time()
        kind, words = _try(target, value, Path(folder))
        took = time.process_time() - began
        if took > SECONDS:
            kind, words = "slow", f"{took:.0f} seconds; {kind}: {words}"
        elif watch.seen:
            kind, words = "escaped", "; ".join(watch.seen)
            watch.seen.clear()
        elif (peak := _peak(resource.RUSAGE_SELF) - base) > MEMORY:
            kind, words = "ate memory", f"{peak / MEBIBYTE:.0f} MiB"
        elif (peak := _peak(resource.RUSAGE_CHILDREN)) > MEMORY_OF_FFMPEG:
            kind, words = "let ffmpeg eat memory", f"{peak / MEBIBYTE:.0f} MiB"
        pipe.send((kind, words))
        if kind.endswith("memory"):
            os._exit(0)  # peaks do not go down


def _try(target: Target, value: Any, folder: Path) -> tuple[str, str]:
    from soupxr.errors import SoupError

    try:
        target(value, folder)
    except SoupError as error:
        # Half a character of a name must not break the pipe.
        return "refused", str(error).encode(errors="backslashreplace").decode()
    except BaseException:
        told = traceback.format_exc(limit=-6)
        return "wrong", told.encode(errors="backslashreplace").decode()[-4000:]
    return "right", ""


def _limit(memory: int) -> None:
    if sys.platform != "linux":
        return
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    # Memory that is only promised counts too: twice of what may be used.
    resource.setrlimit(resource.RLIMIT_AS, (size + 2 * memory, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _peak(whose: int) -> int:
    """Largest resident size so far, bytes."""
    peak = resource.getrusage(whose).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


# ------------------------------------------------------------------ what must not happen

STARTS = ("os.system", "os.exec", "os.spawn", "os.posix_spawn", "pty.spawn")
#: Where these events say within which open folder the name is.
CHANGES = {"os.remove": 1, "os.rmdir": 1, "os.mkdir": 2, "os.rename": 2}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class _Watch:
    """Listens to Python's own reports of what it is about to do."""

    def __init__(self, folder: str) -> None:
        self.seen: list[str] = []
        self._folder = os.path.realpath(folder)
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in STARTS or event in ("socket.connect", "socket.sendto", "socket.bind"):
            self.seen.append(f"{event} {arguments!r:.200}")
        elif event == "subprocess.Popen":
            self._hear_of_program(arguments[0], arguments[1])
        elif event == "open":
            self._hear_of_file(arguments[0], arguments[2])
        elif event == "os.mkdir" and os.path.isdir(arguments[0]):
            pass  # Zarr makes the folder that it opens, whether it is there or not.
        elif event in CHANGES and arguments[CHANGES[event]] == -1:
            # Names within a folder that is open, as of a tree that is removed, tell nothing.
            self._hear_of_file(arguments[0], os.O_WRONLY)

    def _hear_of_program(self, program: Any, command: Sequence[Any]) -> None:
        if "ffmpeg" not in os.path.basename(os.fspath(program or command[0])):
            self.seen.append(f"started {command!r:.200}")
        elif fault := unguarded(command):
            self.seen.append(f"ffmpeg {fault}")

    def _hear_of_file(self, path: Any, flags: Any) -> None:
        if not isinstance(path, str | bytes | os.PathLike) or not isinstance(flags, int):
            return
        name = os.path.realpath(os.fsdecode(path))
        if flags & WRITES and not name.startswith((self._folder, "/dev/")):
            self.seen.append(f"wrote {name}")


def unguarded(command: Sequence[Any]) -> str:
    """What a command line of ffmpeg lacks before one of its inputs; or nothing."""
    words = [os.fsdecode(word) for word in command]
    inputs = [place for place, word in enumerate(words) if word == "-i"]
    before = 0
    for place in inputs:
        options, name = words[before:place], words[place + 1]
        before = place + 2
        if not name.startswith("file:/"):
            return f"opens {name!r}, which is no plain path"
        if "-protocol_whitelist" not in options or "-format_whitelist" not in options:
            return f"may follow {name!r} anywhere"
        if options[options.index("-protocol_whitelist") + 1] != "file":
            return f"may use more than files for {name!r}"
    return ""


class Opened:
    """Whether anybody at all opens a file, told by the kernel; of use on Linux only."""

    IN_OPEN = 0x20

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._file = libc.inotify_init1(os.O_NONBLOCK)
        if libc.inotify_add_watch(self._file, os.fsencode(path), self.IN_OPEN) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def __bool__(self) -> bool:
        with contextlib.suppress(BlockingIOError):
            return bool(os.read(self._file, 4096))
        return False

    def close(self) -> None:
        os.close(self._file)


def in_turn(*lists: Sequence[Any]) -> Iterator[Any]:
    """Go round several lists."""
    for place in range(max(map(len, lists))):
        for one in lists:
            if place < len(one):
                yield one[place]
