"""Saving from a page: what is told as saved is on disk, and nothing is lost silently."""

import contextlib
import errno
import os
import re
import shutil
import threading
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import PROCESSES

import soupxr as sx
from soupxr.dashboard import saving
from soupxr.dashboard.saving import Saver
from soupxr.ingest import TrialRow
from soupxr.schema import FRAME_CHUNK
from soupxr.store import (
    Conflict,
    add_trials,
    read_annotation,
    remove_trials,
    write_annotations,
)

N_FRAMES = 2 * FRAME_CHUNK + 7
KEY, OTHER = "M1/S1/3", "M1/S1/4"
#: Longer than any test waits: who is served sooner did not wait for it.
NEVER = 1000.0
PATIENCE = 120.0


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    (folder / "videos").mkdir()
    sx.create(folder / "reach.zarr", folder / "videos")
    rows = [TrialRow("M1", "S1", i, ("a.mp4", "b.mp4"), N_FRAMES, 500.0) for i in (3, 4)]
    add_trials(str(folder / "reach.zarr"), rows)
    return folder / "reach.zarr"


@pytest.fixture
def address(tmp_path, empty_store):
    return str(shutil.copytree(empty_store, tmp_path / "reach.zarr"))


def mask(seed):
    return np.random.default_rng(seed).integers(-1, 2, (N_FRAMES, 6)).astype(np.int8)


def stored(address, annotator, key=KEY):
    """Labels as any reader sees them."""
    ds = sx.open(address)
    animal, session, trial_id = key.split("/")
    chosen = {"animal": animal, "session": session, "trial_id": int(trial_id)}
    return ds.annotation.sel(annotator=annotator, **chosen).values


def assert_stored(address, annotator, labels, key=KEY):
    np.testing.assert_array_equal(stored(address, annotator, key), labels)


class Heard(list):
    """Reports, and a way to wait for one."""

    def __init__(self):
        self.came = threading.Condition()

    def __call__(self, report):
        with self.came:
            self.append(report)
            self.came.notify_all()

    def wait(self, state, version):
        with self.came:

            def match():
                return [r for r in self if (r.state, r.version) == (state, version)]

            assert self.came.wait_for(match, PATIENCE), f"no {state} {version} among {list(self)}"
            return match()[0]

    @property
    def told(self):
        return [(report.state, report.version) for report in self]


@pytest.fixture
def heard():
    return Heard()


@pytest.fixture
def saver_of(heard):
    """Make savers that are closed in the end."""
    savers = []

    def make(address, annotator="Ana", **options):
        savers.append(Saver(address, annotator, heard, **options))
        return savers[-1]

    yield make
    for saver in savers:
        saver.close(0)


class Writer:
    """Stands before the store's writer: notes calls, fails as told, waits at a gate."""

    def __init__(self, failures=()):
        self.calls = []
        self.failures = list(failures)
        self.gate = threading.Event()
        self.gate.set()
        self.arrived = threading.Semaphore(0)

    def __call__(self, address, annotator, masks, *, expected):
        self.arrived.release()
        assert self.gate.wait(PATIENCE)
        self.calls += [(key, labels.copy()) for key, labels in masks.items()]
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        write_annotations(address, annotator, masks, expected=expected)


@pytest.fixture
def writer(monkeypatch):
    stand_in = Writer()
    monkeypatch.setattr(saving, "write_annotations", stand_in)
    return stand_in


def full_disk():
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# ------------------------------------------------------------------ saving


def test_saved_is_told_when_it_is_on_disk(address):
    on_disk = []

    def report(told):
        if told.state == "saved":
            on_disk.append(stored(address, "Ana"))
        states.append(told)

    states = []
    saver = Saver(address, "Ana", report)
    saver.open(KEY, None)
    for version in range(3):
        saver.save(KEY, mask(version), version)
        assert saver.flush(PATIENCE)
    assert saver.close() == {}
    assert [r.state for r in states] == ["saving", "saved"] * 3
    assert [r.version for r in states] == [0, 0, 1, 1, 2, 2]
    for version, labels in enumerate(on_disk):
        np.testing.assert_array_equal(labels, mask(version))
    last = states[-1]
    assert isinstance(last.time, datetime)
    assert last.text == f"Saved {last.time:%H:%M:%S}"
    assert last.key == KEY


def test_labels_belong_to_the_page_again_after_the_call(address, saver_of, writer, heard):
    writer.gate.clear()
    saver = saver_of(address)
    saver.open(KEY, None)
    edited = mask(1)
    saver.save(KEY, edited, 1)
    edited[:] = 1
    writer.gate.set()
    heard.wait("saved", 1)
    assert_stored(address, "Ana", mask(1))


def test_the_latest_of_each_trial_is_written(address, saver_of, writer, heard):
    writer.gate.clear()
    saver = saver_of(address)
    saver.open(KEY, None)
    saver.open(OTHER, None)
    saver.save(KEY, mask(1), 1)
    assert writer.arrived.acquire(timeout=PATIENCE)
    for version in (2, 3, 5):
        saver.save(KEY, mask(version), version)
    saver.save(OTHER, mask(4), 4)
    assert saver.pending() == {KEY: 5, OTHER: 4}
    np.testing.assert_array_equal(saver.unsaved(KEY), mask(5))
    writer.gate.set()
    assert saver.flush(PATIENCE)
    assert sorted(key for key, _ in writer.calls) == [KEY, KEY, OTHER]
    assert {told for told in heard.told if told[0] == "saved"} == {
        ("saved", 1),
        ("saved", 5),
        ("saved", 4),
    }
    assert_stored(address, "Ana", mask(5))
    assert_stored(address, "Ana", mask(4), OTHER)
    assert saver.pending() == {}
    assert saver.unsaved(KEY) is None


def test_a_trial_that_is_opened_again_before_it_is_saved(address, saver_of, writer, heard):
    """Labels that were read before the last were written must not make a conflict of these."""
    writer.failures = [None, full_disk()]
    saver = saver_of(address, retry_seconds=(NEVER,))
    saver.open(KEY, None)
    saver.save(KEY, mask(1), 1)
    heard.wait("saved", 1)
    saver.save(KEY, mask(2), 2)
    heard.wait("failed", 2)
    saver.open(KEY, None)
    saver.save(KEY, mask(3), 3)
    heard.wait("saved", 3)
    assert_stored(address, "Ana", mask(3))


def test_a_page_that_only_looks_has_no_thread(address, saver_of):
    before = set(threading.enumerate())
    saver = saver_of(address)
    saver.open(KEY, None)
    assert saver.flush(0)
    assert saver.close() == {}
    assert set(threading.enumerate()) <= before


def test_a_report_that_is_not_taken_stops_nothing(address, caplog):
    def report(_):
        raise RuntimeError("the page is gone")

    saver = Saver(address, "Ana", report)
    saver.open(KEY, None)
    saver.save(KEY, mask(1), 1)
    assert saver.close(PATIENCE) == {}
    assert_stored(address, "Ana", mask(1))
    assert "the page is gone" in caplog.text


# ------------------------------------------------------------------ failures


def test_what_fails_is_tried_again(address, saver_of, writer, heard):
    writer.failures = [full_disk(), full_disk(), full_disk()]
    saver = saver_of(address, retry_seconds=(0.001, 0.002))
    saver.open(KEY, None)
    saver.save(KEY, mask(1), 7)
    assert saver.flush(PATIENCE)
    assert [report.state for report in heard] == ["saving", "failed", "failed", "failed", "saved"]
    full = "Not saved: the disk is full (No space left on device). Trying again in"
    assert [r.text for r in heard[1:4]] == [f"{full} {s} s." for s in (0.001, 0.002, 0.002)]
    assert {report.version for report in heard} == {7}
    assert_stored(address, "Ana", mask(1))


def test_newer_labels_do_not_wait_for_the_next_try(address, saver_of, writer, heard):
    writer.failures = [full_disk()]
    saver = saver_of(address, retry_seconds=(NEVER,))
    saver.open(KEY, None)
    saver.save(KEY, mask(1), 1)
    heard.wait("failed", 1)
    assert not saver.flush(0)
    assert saver.pending() == {KEY: 1}
    saver.save(KEY, mask(2), 2)
    heard.wait("saved", 2)
    assert_stored(address, "Ana", mask(2))


def test_one_trial_that_fails_does_not_stop_another(address, saver_of, writer, heard):
    writer.failures = [full_disk()]
    saver = saver_of(address, retry_seconds=(NEVER,))
    saver.open(KEY, None)
    saver.open(OTHER, None)
    saver.save(KEY, mask(1), 1)
    heard.wait("failed", 1)
    saver.save(OTHER, mask(2), 2)
    heard.wait("saved", 2)
    assert saver.pending() == {KEY: 1}
    np.testing.assert_array_equal(saver.unsaved(KEY), mask(1))


def test_a_disk_that_fills_up_half_way_makes_no_conflict(address, saver_of, heard, monkeypatch):
    """Some blocks are new and some old then; that nobody else wrote them is known."""
    write_annotations(address, "Ana", {KEY: mask(1)})
    write = __import__("soupxr.store.zarrs").store.zarrs.write
    calls = []

    def fills_up(array, index, values):
        calls.append(index)
        if len(calls) == 2:
            raise sx.StoreError("cannot be written") from full_disk()
        write(array, index, values)

    monkeypatch.setattr("soupxr.store.annotations.write", fills_up)
    saver = saver_of(address, retry_seconds=(0,))
    saver.open(KEY, mask(1))
    saver.save(KEY, mask(2), 2)
    assert saver.flush(PATIENCE)
    assert [report.state for report in heard] == ["saving", "failed", "saved"]
    assert "the disk is full (No space left on device)" in heard[1].text
    assert_stored(address, "Ana", mask(2))


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES])
def test_a_store_that_cannot_be_written_is_told_apart(address, saver_of, heard, monkeypatch, code):
    def refused(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("filelock.FileLock.acquire", refused)
    saver = saver_of(address, retry_seconds=(NEVER,))
    saver.open(KEY, None)
    saver.save(KEY, mask(1), 1)
    why = f"this store can be read but not written ({os.strerror(code)})"
    assert heard.wait("read-only", 1).text == f"Not saved: {why}. Trying again in 1000 s."
    monkeypatch.undo()
    saver.save(KEY, mask(2), 2)
    heard.wait("saved", 2)


def test_a_trial_that_was_removed_says_so(address, saver_of, heard):
    saver = saver_of(address, retry_seconds=(NEVER,))
    saver.open(KEY, None)
    remove_trials(address, [KEY])
    saver.save(KEY, mask(1), 1)
    text = heard.wait("failed", 1).text
    assert text.startswith(f"Not saved: {KEY}: this trial is not in {address}; was it removed?")


def test_a_fault_of_another_kind_is_a_failure_too(address, saver_of, writer, heard, caplog):
    writer.failures = [RuntimeError("a chunk cannot be decoded")]
    saver = saver_of(address, retry_seconds=(0,))
    saver.open(KEY, None)
    saver.save(KEY, mask(1), 1)
    assert saver.flush(PATIENCE)
    assert heard.told == [("saving", 1), ("failed", 1), ("saved", 1)]
    assert "RuntimeError: a chunk cannot be decoded" in heard[1].text
    assert "a chunk cannot be decoded" in caplog.text


# ------------------------------------------------------------------ the end


def test_closing_tries_at_once_what_waits(address, saver_of, writer, heard):
    writer.failures = [full_disk()]
    saver = saver_of(address, retry_seconds=(NEVER,))
    saver.open(KEY, None)
    saver.save(KEY, mask(1), 1)
    heard.wait("failed", 1)
    assert saver.close(PATIENCE) == {}
    assert_stored(address, "Ana", mask(1))
    with pytest.raises(sx.StoreError, match="closed"):
        saver.save(KEY, mask(2), 2)


def test_closing_says_what_was_not_saved(address, saver_of, writer, heard):
    writer.failures = [full_disk()] * 2
    saver = saver_of(address, retry_seconds=(NEVER,))
    saver.open(KEY, None)
    saver.save(KEY, mask(1), 1)
    heard.wait("failed", 1)
    assert saver.close(0) == {KEY: 1}


def test_closing_does_not_wait_for_a_disk_that_does_not_answer(address, saver_of, writer):
    writer.gate.clear()
    saver = saver_of(address)
    saver.open(KEY, None)
    saver.save(KEY, mask(1), 1)
    assert writer.arrived.acquire(timeout=PATIENCE)
    assert saver.close(0) == {KEY: 1}
    writer.gate.set()


# ------------------------------------------------------------------ conflicts


@pytest.fixture
def in_conflict(address, saver_of, heard):
    """A page with version 3 unsaved, where somebody else has saved other labels: mask(9)."""
    write_annotations(address, "Ana", {KEY: mask(0)})
    saver = saver_of(address)
    saver.open(KEY, mask(0))
    write_annotations(address, "Ana", {KEY: mask(9)}, overwrite=True)
    saver.save(KEY, mask(3), 3)
    report = heard.wait("conflict", 3)
    assert report.text.startswith(f"Ana has saved other labels of {KEY} since you opened it.")
    return saver


def test_a_conflict_stops_saving_and_loses_nothing(address, in_conflict, heard):
    assert not in_conflict.flush(PATIENCE)
    in_conflict.save(KEY, mask(4), 4)
    heard.wait("conflict", 4)
    assert_stored(address, "Ana", mask(9))
    np.testing.assert_array_equal(in_conflict.unsaved(KEY), mask(4))
    assert in_conflict.pending() == {KEY: 4}
    in_conflict.open(OTHER, None)
    in_conflict.save(OTHER, mask(5), 5)
    heard.wait("saved", 5)
    assert in_conflict.close() == {KEY: 4}


def test_reload(address, in_conflict, heard):
    labels = in_conflict.reload(KEY)
    np.testing.assert_array_equal(labels, mask(9))
    assert in_conflict.pending() == {}
    assert in_conflict.unsaved(KEY) is None
    labels[5:50, 2] = 1
    in_conflict.save(KEY, labels, 6)
    heard.wait("saved", 6)
    assert_stored(address, "Ana", labels)


def test_reload_waits_for_a_write_that_has_begun(address, saver_of, writer, monkeypatch):
    """Else it would answer with labels that are replaced a moment later."""
    on_disk_by_then = []

    def read(*arguments):
        on_disk_by_then.append(len(writer.calls))
        return read_annotation(*arguments)

    monkeypatch.setattr(saving, "read_annotation", read)
    writer.gate.clear()
    saver = saver_of(address)
    saver.open(KEY, None)
    saver.save(KEY, mask(1), 1)
    assert writer.arrived.acquire(timeout=PATIENCE)
    opener = threading.Timer(0.1, writer.gate.set)
    opener.start()
    np.testing.assert_array_equal(saver.reload(KEY), mask(1))
    assert on_disk_by_then == [1]
    opener.join()


def test_reload_gives_nothing_up_that_it_cannot_replace(address, in_conflict):
    remove_trials(address, [KEY])
    with pytest.raises(sx.StoreError, match="was it removed"):
        in_conflict.reload(KEY)
    np.testing.assert_array_equal(in_conflict.unsaved(KEY), mask(3))


def test_save_as_another_annotator(address, in_conflict, heard):
    in_conflict.save_as(KEY, mask(3), 3, "Ben")
    report = heard.wait("saved", 3)
    assert re.fullmatch(r"Saved as Ben \d\d:\d\d:\d\d", report.text)
    assert_stored(address, "Ana", mask(9))
    assert_stored(address, "Ben", mask(3))
    in_conflict.save(KEY, mask(4), 4)
    heard.wait("saved", 4)
    assert_stored(address, "Ana", mask(9))
    assert_stored(address, "Ben", mask(4))
    assert in_conflict.annotator_of(KEY) == "Ben"
    assert in_conflict.annotator_of(OTHER) == "Ana"


def test_save_as_somebody_who_has_labelled_the_trial(address, in_conflict, heard):
    write_annotations(address, "Ben", {KEY: mask(7)})
    in_conflict.save_as(KEY, mask(4), 4, "Ben")
    assert heard.wait("conflict", 4).text.startswith(f"Ben has labelled {KEY} already.")
    assert_stored(address, "Ben", mask(7))
    np.testing.assert_array_equal(in_conflict.reload(KEY), mask(9))
    assert in_conflict.annotator_of(KEY) == "Ana"


def test_save_as_a_second_name_after_the_first_was_taken(address, in_conflict, heard):
    write_annotations(address, "Ben", {KEY: mask(7)})
    in_conflict.save_as(KEY, mask(4), 4, "Ben")
    heard.wait("conflict", 4)
    in_conflict.save_as(KEY, mask(5), 5, "Cem")
    heard.wait("saved", 5)
    for annotator, seed in {"Ana": 9, "Ben": 7, "Cem": 5}.items():
        assert_stored(address, annotator, mask(seed))


def test_reload_after_two_names_were_taken(address, in_conflict, heard):
    write_annotations(address, "Ben", {KEY: mask(7)})
    write_annotations(address, "Cem", {KEY: mask(6)})
    for version, name in ((4, "Ben"), (5, "Cem")):
        in_conflict.save_as(KEY, mask(version), version, name)
        heard.wait("conflict", version)
    np.testing.assert_array_equal(in_conflict.reload(KEY), mask(9))
    assert in_conflict.annotator_of(KEY) == "Ana"


@pytest.mark.parametrize("name", ["Ana", "", "  "])
def test_save_as_needs_another_name(address, in_conflict, name):
    with pytest.raises(sx.ArgumentError, match="annotator"):
        in_conflict.save_as(KEY, mask(3), 3, name)
    assert in_conflict.pending() == {KEY: 3}


def test_overwrite(address, in_conflict, heard):
    in_conflict.overwrite(KEY)
    heard.wait("saved", 3)
    assert_stored(address, "Ana", mask(3))


def test_overwrite_only_what_was_told_of(address, in_conflict, heard):
    write_annotations(address, "Ana", {KEY: mask(8)}, overwrite=True)
    heard.clear()
    in_conflict.overwrite(KEY)
    heard.wait("conflict", 3)
    assert_stored(address, "Ana", mask(8))


def test_the_page_may_hold_a_lock_that_reports_need(address, saver_of, writer, heard):
    """Else the page, which waits for the write, and the write, which tells the page, hang."""
    page = threading.Lock()

    def report(told):
        arrived.release()
        with page:
            heard(told)

    arrived = threading.Semaphore(0)
    saver = Saver(address, "Ana", report)
    saver.open(KEY, None)
    with page:
        saver.save(KEY, mask(1), 1)
        assert arrived.acquire(timeout=PATIENCE)
        assert (saver.reload(KEY) == -1).all()
    assert saver.flush(PATIENCE)
    assert writer.calls == []
    assert heard.told == [("saving", 1)]
    saver.save(KEY, mask(2), 2)
    assert saver.close(PATIENCE) == {}
    assert_stored(address, "Ana", mask(2))


# ------------------------------------------------------------------ any order of events


@settings(max_examples=60)
@given(
    events=st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["save", "fail", "other"])),
        max_size=25,
    )
)
def test_whatever_happens_the_last_labels_are_saved_or_said_not_to_be(events):
    """Against a store that is a dict, with failures and somebody else's saves in between."""
    disk, failing, lies, lock = {}, [], [], threading.Lock()

    def write(address, annotator, masks, *, expected):
        ((key, labels),) = masks.items()
        with lock:
            if failing:
                raise failing.pop()
            now, seen = disk.get(key), expected[key]
            if (now is None) != (seen is None) or (now is not None and (now != seen).any()):
                raise Conflict(key, annotator, now)
            disk[key] = labels

    def report(told):
        with lock:
            if told.state == "saved" and disk[told.key][0, 0] < told.version and not others:
                lies.append(told)

    others = [key for key, what in events if what == "other"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saving, "write_annotations", write)
        saver = Saver("nowhere", "Ana", report, retry_seconds=(0,))
        for key in "ab":
            saver.open(key, None)
        last = {}
        for version, (key, what) in enumerate(events):
            labels = np.full((1, 1), version, np.int8)
            if what == "save":
                saver.save(key, labels, version)
                last[key] = version
            with lock:
                if what == "fail":
                    failing.append(full_disk())
                elif what == "other":
                    disk[key] = labels
        unsaved = saver.close(PATIENCE)
    assert not lies
    for key, version in last.items():
        if key in unsaved:
            assert key in others, "only what somebody else has saved stops a save"
            assert unsaved[key] == version
            assert saver.unsaved(key)[0, 0] == version
        elif key not in others:
            assert disk[key][0, 0] == version


# ------------------------------------------------------------------ real processes


def save_at_once(address, seed, barrier, states):
    heard = Heard()
    saver = Saver(address, "Ana", heard)
    saver.open(KEY, read_annotation(address, "Ana", KEY))
    barrier.wait(PATIENCE)
    saver.save(KEY, mask(seed), seed)
    saver.flush(PATIENCE)
    states.put((seed, heard[-1].state))
    barrier.wait(PATIENCE)
    if heard[-1].state == "conflict":
        saver.save_as(KEY, saver.unsaved(KEY), seed, "Ben")
    assert saver.close(PATIENCE) == {}


@pytest.mark.parametrize("labelled", [False, True])
def test_of_two_processes_one_wins_and_the_other_hears_of_it(address, labelled):
    if labelled:
        write_annotations(address, "Ana", {KEY: mask(0)})
    barrier, states = PROCESSES.Barrier(3), PROCESSES.Queue()
    pages = [
        PROCESSES.Process(target=save_at_once, args=(address, seed, barrier, states))
        for seed in (1, 2)
    ]
    for page in pages:
        page.start()
    barrier.wait(PATIENCE)
    came = dict(states.get(timeout=PATIENCE) for _ in pages)
    assert sorted(came.values()) == ["conflict", "saved"]
    first, second = sorted(came, key=lambda seed: came[seed] == "conflict")
    assert_stored(address, "Ana", mask(first))
    barrier.wait(PATIENCE)
    for page in pages:
        page.join(PATIENCE)
    assert [page.exitcode for page in pages] == [0, 0]
    assert_stored(address, "Ana", mask(first))
    assert_stored(address, "Ben", mask(second))


def save_until_killed(address, its_end):
    """Tell of each save, and go on with the next."""

    def report(told):
        if told.state == "saved":
            its_end.send(told.version)

    saver = Saver(address, "Ana", report)
    saver.open(KEY, None)
    version = 0
    while True:
        version += 1
        saver.save(KEY, mask(version), version)
        saver.flush(60)


def test_a_killed_page_leaves_what_it_told_as_saved(address):
    end, its_end = PROCESSES.Pipe(duplex=False)
    page = PROCESSES.Process(target=save_until_killed, args=(address, its_end))
    page.start()
    its_end.close()
    versions = [end.recv() for _ in range(4)]
    page.kill()
    with contextlib.suppress(EOFError):
        while True:
            versions.append(end.recv())
    page.join(PATIENCE)
    end.close()
    told = versions[-1]
    labels = stored(address, "Ana")
    for start in range(0, N_FRAMES, FRAME_CHUNK):
        block = slice(start, start + FRAME_CHUNK)
        # The next save may have been under way.
        assert any(np.array_equal(labels[block], mask(v)[block]) for v in (told, told + 1))
    write_annotations(address, "Ana", {KEY: mask(99)}, expected={KEY: labels})
    assert_stored(address, "Ana", mask(99))
