"""Leases: one holder at a time, known to be alive by what it writes."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
import zarr
from pages import until
from processes import PROCESSES

from soupxr.errors import StoreError
from soupxr.store import leases
from soupxr.store.leases import Held, Lease, Lost, take, taken, waiting_for
from soupxr.store.notes import notes_of

WORK = "fast of M1/S1/1"


def folder_of(tmp_path: Path) -> str:
    """Where a store might be, as far as leases care."""
    (tmp_path / "reach.zarr").mkdir()
    return str(tmp_path / "reach.zarr")


@pytest.fixture(params=["path", "s3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "path":
        return folder_of(tmp_path)
    return f"{request.getfixturevalue('s3')}/reach.zarr"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Holders look as if they were of another machine: whether they live is not known."""
    monkeypatch.setattr(leases.Holder, "is_gone", False)


def test_a_lease_has_one_holder(address):
    with take(address, WORK) as lease:
        assert isinstance(lease, Lease)
        held = take(address, WORK)
        assert isinstance(held, Held)
        assert f"(process {os.getpid()})" in held.who
        take(address, "fast of M1/S1/2").release()
    again = take(address, WORK)
    assert isinstance(again, Lease)
    again.release()


def test_of_many_who_want_it_one_gets_it(address):
    got, barrier = [], threading.Barrier(8)

    def want() -> None:
        barrier.wait()
        got.append(take(address, WORK))

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (lease,) = [one for one in got if isinstance(one, Lease)]
    lease.release()
    assert len(got) == 8


def test_a_sign_of_life_changes_its_text(address):
    with take(address, WORK) as lease:
        before = take(address, WORK).text
        assert lease.beat()
        assert take(address, WORK).text != before


def test_signs_of_life_are_given_while_it_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_S", 0.01)
    address = folder_of(tmp_path)
    with take(address, WORK):
        before = take(address, WORK).text
        until(lambda: take(address, WORK).text != before)
    until(lambda: "soupxr-leases" not in {thread.name for thread in threading.enumerate()})


def test_a_lease_that_is_damaged_does_not_end_the_signs_of_life_of_others(tmp_path, monkeypatch):
    monkeypatch.setattr(leases, "BEAT_S", 0.02)
    address = folder_of(tmp_path)
    with take(address, "other work") as damaged:
        with damaged._writing:  # a sign of life that is just being given would write over it
            (tmp_path / "reach.zarr/leases" / damaged._name).write_bytes(b"\xff\xfe")
        until(lambda: damaged._is_lost)
        with take(address, WORK) as lease:
            before = lease._holder.beat
            until(lambda: lease._holder.beat > before + 2)


def test_whose_holder_is_silent_is_taken_over_once(address, elsewhere):
    first = take(address, WORK)
    seen = take(address, WORK).text
    second = take(address, WORK, dead=seen)
    assert isinstance(second, Lease)
    assert second.deaths == 1
    assert isinstance(take(address, WORK, dead=seen), Held)
    # The first wakes up, finds out, and takes nothing from the second.
    assert not first.beat()
    with pytest.raises(Lost, match="start again"):
        first.check()
    first.release()
    assert isinstance(take(address, WORK), Held)
    second.check()
    second.release()


def test_one_that_lives_is_not_taken_over(address, elsewhere):
    with take(address, WORK) as lease:
        seen = take(address, WORK).text
        lease.beat()
        assert isinstance(take(address, WORK, dead=seen), Held)


def _take_and_die(address: str) -> None:
    take(address, WORK)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_dead_process_of_this_machine_is_known_at_once(tmp_path):
    address = folder_of(tmp_path)
    for deaths in range(1, 4):
        process = PROCESSES.Process(target=_take_and_die, args=(address,))
        process.start()
        process.join()
        if deaths == 2:
            # Its deaths are counted from holder to holder, until one gives the lease back.
            lease = take(address, WORK)
            assert lease.deaths == 2
            lease.release()
    lease = take(address, WORK)
    assert lease.deaths == 1
    lease.release()


def test_what_could_not_be_given_back_is_known_at_once(tmp_path):
    """A drive was away when the work ended, and came back."""
    address, away = folder_of(tmp_path), str(tmp_path / "away")
    lease = take(address, WORK)
    os.rename(address, away)
    lease.release()
    os.rename(away, address)
    again = take(address, WORK)
    assert isinstance(again, Lease)
    assert again.deaths == 0
    again.release()


def test_what_is_taken(address):
    works = [f"fast of M1/S1/{trial}" for trial in range(1, 4)]
    assert taken(address, works) == set()
    with take(address, works[0]), take(address, works[2]), take(address, "fast of another"):
        assert taken(address, works) == {works[0], works[2]}
    assert taken(address, works) == set()


def test_who_waits_goes_on_when_it_is_given_back(address, elsewhere):
    first, entered = take(address, WORK), threading.Event()

    def wait() -> None:
        with waiting_for(address, WORK, timeout=60):
            entered.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not entered.wait(0.05)
    first.release()
    thread.join()
    assert entered.is_set()


def test_who_waits_takes_over_from_the_silent(address, elsewhere, monkeypatch):
    monkeypatch.setattr(leases, "PATIENCE_S", 0.1)
    monkeypatch.setattr(leases, "LOOK_S", 0.02)
    silent = take(address, WORK)
    with waiting_for(address, WORK, timeout=60) as lease:
        assert lease.deaths == 1
    silent.release()


def test_who_waits_too_long_is_told_for_whom(address, elsewhere):
    with (
        take(address, WORK),
        pytest.raises(StoreError, match=rf"process {os.getpid()}.*Wait until"),
        waiting_for(address, WORK, timeout=0),
    ):
        pass


def test_a_lease_that_is_none_of_ours_is_somebodys(address, elsewhere):
    notes = notes_of(address)
    with take(address, WORK):
        pass
    assert notes.create(leases._name(WORK), "{half a te")
    held = take(address, WORK)
    assert held == Held("{half a te", "somebody")
    with take(address, WORK, dead=held.text) as lease:
        assert lease.deaths == 1


def test_without_permission_it_is_told(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(StoreError, match="permission to write there"):
        take(folder_of(tmp_path), WORK)


def test_beside_a_store_of_another_kind_there_are_none():
    with pytest.raises(StoreError, match="s3://"):
        take("ftp://lab/reach.zarr", WORK)


def test_a_store_that_was_moved_away_is_not_made_again(tmp_path):
    with pytest.raises(StoreError, match="cannot be written"):
        take(str(tmp_path / "reach.zarr"), WORK)
    assert list(tmp_path.iterdir()) == []


def test_zarr_does_not_mind(tmp_path):
    address = folder_of(tmp_path)
    zarr.create_group(address, overwrite=True)
    with take(address, WORK):
        assert [name for name, _ in zarr.open_group(address).members()] == ["leases"]


def test_nothing_stays_behind(tmp_path):
    take(folder_of(tmp_path), WORK).release()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["zarr.json"]
