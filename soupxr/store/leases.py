"""Leases: who is at work on what, so that two runs do not do the same twice.

A lease is a small text in the store. Its holder writes it anew every ten seconds, with a
count; whoever finds it and sees the same text for a minute takes it over. So no two clocks are
ever compared, and none may be wrong. On one machine the dead are known at once, by their process.

A lease saves work; it does not guard data. A holder who was thought dead and wakes up again (a
laptop that slept) finds out when it next writes its sign of life, and results are guarded by their
provenance (:class:`soupxr.store.results.Overtaken`).
"""

from __future__ import annotations

import getpass
import hashlib
import json
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache

import psutil

from soupxr.errors import StoreError
from soupxr.store.notes import Notes, notes_of

__all__ = [
    "PATIENCE_S",
    "Held",
    "InUse",
    "Lease",
    "Lost",
    "forget",
    "holding_trial",
    "of_trial",
    "take",
    "taken",
    "waiting_for",
]

log = logging.getLogger(__name__)

#: Between two signs of life.
BEAT_S = 10.0
#: Without one for so long, a holder is taken for dead.
PATIENCE_S = 60.0
#: Between two looks at a lease that is waited for.
LOOK_S = 0.5


class InUse(StoreError):
    """Another process is at work on a trial."""

    def __init__(self, mode: str, key: str, who: str) -> None:
        super().__init__(
            f"{key}: {who} is at work on it in mode {mode}. Call this again when that is done."
        )
        self.key = key


class Lost(StoreError):
    """Somebody took a lease over because its holder gave no sign of life."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease.

    Parameters
    ----------
    machine : str
        Where process numbers mean what they mean here.
    deaths : int
        Holders that died before this one, one after the other.
    beat : int
        Signs of life so far.
    """

    what: str
    user: str
    host: str
    machine: str
    pid: int
    token: str
    deaths: int = 0
    beat: int = 0

    def dump(self) -> str:
        """Text of the lease."""
        return json.dumps(asdict(self))

    @property
    def is_gone(self) -> bool:
        """Whether it is known to be dead: of this machine, and its process is not there."""
        return self.machine == _machine() and not psutil.pid_exists(self.pid)

    @property
    def is_left(self) -> bool:
        """Whether this process gave it back but could not say so, the store being away."""
        is_ours = self.machine == _machine() and self.pid == os.getpid()
        return is_ours and not _HEART.knows(self.token)

    def __str__(self) -> str:
        return f"{self.user} on {self.host} (process {self.pid})"


@dataclass(frozen=True)
class Held:
    """A lease that somebody else has.

    Parameters
    ----------
    text : str
        As it stands; the same a minute later, nobody is there any more.
    who : str
        For people.
    """

    text: str
    who: str


class Lease:
    """A lease of this process; release it, or use it as a context manager.

    Attributes
    ----------
    deaths : int
        How many holders in a row died over the same work.
    """

    def __init__(self, notes: Notes, name: str, holder: Holder) -> None:
        self._notes, self._name, self._holder = notes, name, holder
        self._writing = threading.Lock()
        self._is_lost = False
        self.deaths = holder.deaths
        _HEART.add(self)

    def __enter__(self) -> Lease:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def check(self) -> None:
        """Make sure that it is still ours.

        Raises
        ------
        Lost
            If it is not.
        """
        if not self.beat():
            raise Lost(
                f"{self._holder.what}: this process gave no sign of life for a minute, and another "
                "one went on in its place. Look at what is there, and start again."
            )

    def beat(self) -> bool:
        """Give a sign of life; False where somebody else holds the lease now."""
        with self._writing:
            following = replace(self._holder, beat=self._holder.beat + 1)
            if self._is_lost or not self._notes.replace(
                self._name, self._holder.dump(), following.dump()
            ):
                self._is_lost = True
            else:
                self._holder = following
            return not self._is_lost

    def release(self) -> None:
        """Give it back."""
        _HEART.drop(self)
        with self._writing:
            if not self._is_lost:
                # One that stays behind is taken over later; work is not lost by it.
                with suppress(OSError, StoreError):
                    self._notes.remove(self._name, self._holder.dump())
        _HEART.forget(self._holder.token)


class _Heart:
    """Gives the signs of life of all leases of this process, in a thread, while there are any."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._leases: set[Lease] = set()
        self._tokens: set[str] = set()
        self._beats = False

    def learn(self, token: str) -> None:
        """Know who of this process holds, or is about to."""
        with self._changed:
            self._tokens.add(token)

    def forget(self, token: str) -> None:
        with self._changed:
            self._tokens.discard(token)

    def knows(self, token: str) -> bool:
        with self._changed:
            return token in self._tokens

    def add(self, lease: Lease) -> None:
        with self._changed:
            self._leases.add(lease)
            if not self._beats:
                self._beats = True
                threading.Thread(target=self._run, name="soupxr-leases", daemon=True).start()

    def drop(self, lease: Lease) -> None:
        with self._changed:
            self._leases.discard(lease)
            if not self._leases:
                self._changed.notify()  # the thread may end

    def _run(self) -> None:
        while leases := self._wait():
            for lease in leases:
                try:
                    if not lease.beat():
                        self.drop(lease)
                # Whatever it is, other leases want their signs of life.
                except Exception as error:
                    log.warning("a sign of life could not be written: %s", error)

    def _wait(self) -> list[Lease]:
        """Leases after the next pause; none where there are none, and the thread may end."""
        with self._changed:
            self._changed.wait(BEAT_S)
            self._beats = bool(self._leases)
            return list(self._leases)


_HEART = _Heart()
# A forked child holds none of its parent's leases, and has none of its threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_HEART.__init__)  # type: ignore[misc]


def take(address: str, what: str, dead: str | None = None) -> Lease | Held:
    """Take the lease of a piece of work, or say who has it.

    Parameters
    ----------
    address : str
        The store.
    what : str
        The work, in words that are the same for everybody.
    dead : str, optional
        Text of a holder that was seen to be dead; see :attr:`Held.text`.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    notes, name = notes_of(address), _name(what)
    me = _me(what)
    _HEART.learn(me.token)
    try:
        got = _take(notes, name, me, dead)
    except BaseException:
        _HEART.forget(me.token)
        raise
    if isinstance(got, Held):
        _HEART.forget(me.token)
        return got
    return Lease(notes, name, got)


def _take(notes: Notes, name: str, me: Holder, dead: str | None) -> Holder | Held:
    """Write down who holds a lease from now on, or say who does."""
    while not notes.create(name, me.dump()):
        found = notes.read(name)
        if found is None:
            continue  # given back meanwhile
        holder = _parse(found)
        deaths = 0 if holder is None else holder.deaths
        if holder is not None and holder.is_left:
            me = replace(me, deaths=deaths)
        elif found == dead or (holder is not None and holder.is_gone):
            me = replace(me, deaths=deaths + 1)
        else:
            return Held(found, "somebody" if holder is None else str(holder))
        if notes.replace(name, found, me.dump()):
            break
    return me


def of_trial(mode: str, key: str) -> str:
    """Name of the work on a trial's result."""
    return f"{mode} of {key}"


def taken(address: str, whats: Iterable[str]) -> set[str]:
    """Those of some pieces of work that somebody is at, or has died over.

    Raises
    ------
    StoreError
        If that cannot be read.
    """
    names = notes_of(address).names()
    return {what for what in whats if _name(what) in names}


def forget(address: str, whats: Iterable[str]) -> None:
    """Remove the leases of work that is no more; whoever still holds one finds that it is lost.

    Raises
    ------
    StoreError
        If that cannot be done.
    """
    notes = notes_of(address)
    for name in {_name(what) for what in whats} & notes.names():
        text = notes.read(name)
        if text is not None:
            notes.remove(name, text)


@contextmanager
def holding_trial(address: str, mode: str, key: str) -> Iterator[None]:
    """Hold a trial, as inference does: of two that write it at once, each could spoil the other's.

    Raises
    ------
    InUse
        If another process holds it.
    """
    lease = take(address, of_trial(mode, key))
    if isinstance(lease, Held):
        raise InUse(mode, key, lease.who)
    with lease:
        yield


@contextmanager
def waiting_for(address: str, what: str, timeout: float) -> Iterator[Lease]:
    """Hold a lease, after waiting for whoever has it.

    Raises
    ------
    StoreError
        If that takes longer than ``timeout`` (s).
    """
    lease = _wait(address, what, timeout)
    try:
        yield lease
    finally:
        lease.release()


def _wait(address: str, what: str, timeout: float) -> Lease:
    started = since = time.monotonic()
    last, dead = None, None
    while isinstance(found := take(address, what, dead), Held):
        now = time.monotonic()
        if found.text != last:
            last, since = found.text, now
        dead = last if now - since > PATIENCE_S else None
        if now - started > timeout:
            raise StoreError(
                f"{address}: {found.who} has been {what} for {timeout / 60:.0f} minutes. "
                "Wait until they are done, or end that process."
            )
        time.sleep(LOOK_S)
    return found


def _me(what: str) -> Holder:
    host = socket.gethostname()
    return Holder(what, _user(), host, _machine(), os.getpid(), uuid.uuid4().hex)


@cache
def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user may have no name
        return "somebody"


@cache
def _machine() -> str:
    """Name of a machine; containers with process numbers of their own have one of their own."""
    try:
        processes = os.readlink("/proc/self/ns/pid")
    except OSError:
        processes = ""
    return f"{socket.gethostname()} {uuid.getnode():x} {processes}"


def _parse(text: str) -> Holder | None:
    """Who wrote this; None where it is nothing of ours."""
    try:
        return Holder(**json.loads(text))
    except (TypeError, ValueError):
        return None


def _name(what: str) -> str:
    """A file's name: animals may be called as no file may be."""
    return hashlib.sha256(what.encode()).hexdigest()[:32]
