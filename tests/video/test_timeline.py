"""Frames, key pictures and stamps, worked out by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soupxr.video.packets import DISCARD, KEY
from soupxr.video.timeline import Timeline

# Decoding order; K is a key picture, b leans on pictures on both sides of it in time:
#        K0   P3  b1  b2  K6  b4  b5  P7   K8
STAMPS = [0, 30, 10, 20, 60, 40, 50, 70, 80]
FLAGS = [KEY, 0, 0, 0, KEY, 0, 0, 0, KEY]


@pytest.fixture
def timeline() -> Timeline:
    return _timeline(Fraction(1, 1000), np.array(STAMPS), np.array(FLAGS, np.uint8))


def _timeline(tick, stamps, flags) -> Timeline:
    """The checksum of each packet is its place, plus 7."""
    return Timeline(tick, stamps, flags, 7 + np.flatnonzero(flags & KEY).astype(np.uint32))


def test_frames_are_in_order_of_time(timeline):
    assert timeline.frames.tolist() == sorted(STAMPS)


@pytest.mark.parametrize(("frame", "key"), [(0, 0), (3, 0), (4, 0), (5, 0), (6, 6), (7, 6), (8, 8)])
def test_a_picture_before_its_key_picture_in_time_needs_the_one_before(frame, key, timeline):
    assert timeline.key_frame(frame) == key


def test_landings_go_back_until_the_start_of_the_file(timeline):
    assert list(timeline.landings(4)) == []
    (landing,) = timeline.landings(7)
    assert (landing.place, landing.microseconds, landing.frame) == (4, 60_000, 6)
    assert [landing.place for landing in timeline.landings(8)] == [8, 4]


def test_places_of_packets(timeline):
    assert [timeline.place(stamp) for stamp in STAMPS] == list(range(9))
    assert timeline.place(35) is None
    assert timeline.place(99) is None


def test_a_key_packet_is_known_by_its_checksum(timeline):
    assert not timeline.is_another(4, 11)
    assert timeline.is_another(4, 12)
    assert not timeline.is_another(3, 12), "only those of key pictures are kept"


def test_microseconds_are_rounded_up():
    stamps = np.array([0, 1, 2])
    timeline = _timeline(Fraction(1, 30), stamps, np.full(3, KEY, np.uint8))
    assert [landing.microseconds for landing in timeline.landings(2)] == [66_667, 33_334]


def test_what_is_not_shown_is_no_frame():
    flags = np.array([KEY | DISCARD, DISCARD, 0, KEY], np.uint8)
    timeline = _timeline(Fraction(1, 30), np.array([-2, -1, 0, 1]), flags)
    assert timeline.frames.tolist() == [0, 1]
    assert timeline.key_frame(0) == 0
    assert timeline.key_frame(1) == 1


@given(
    stamps=st.lists(st.integers(-(2**62), 2**62), min_size=1, unique=True),
    tick=st.fractions(Fraction(1, 10**9), 10, max_denominator=10**9),
    data=st.data(),
)
def test_packing_loses_nothing(stamps, tick, data):
    flags = data.draw(st.lists(st.sampled_from([0, KEY, DISCARD]), **_size(len(stamps))))
    timeline = _timeline(tick, np.array(stamps), np.array([KEY, *flags[1:]], np.uint8))
    again = Timeline.unpack(timeline.pack())
    assert again.tick == tick
    assert again.frames.tolist() == timeline.frames.tolist()
    assert [again.place(stamp) for stamp in stamps] == list(range(len(stamps)))
    keys = [place for place, flag in enumerate([KEY, *flags[1:]]) if flag & KEY]
    assert not any(again.is_another(place, place + 7) for place in keys)
    assert all(again.is_another(place, place + 8) for place in keys)


def _size(n: int) -> dict[str, int]:
    return {"min_size": n, "max_size": n}


def test_a_constant_rate_packs_small():
    stamps = np.arange(100_000) * 512
    flags = (np.arange(100_000) % 250 == 0).astype(np.uint8)
    assert len(_timeline(Fraction(1, 15360), stamps, flags).pack()) < 5000
