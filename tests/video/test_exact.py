"""Frame i is the i-th frame of a full decode, whatever the file and the order of reading."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from soupxr.video import VideoReader, probe

SEEKABLE = [
    "plain.mp4",
    "no_b_frames.mp4",
    "intra_only.avi",
    "ffv1.mkv",
    "matroska.mkv",
    "vfr.mp4",
    "vfr.mkv",
    "slow.mp4",
    "mpeg4.avi",
    "h264.ts",
    "open_gop_h264.ts",
    "open_gop_hevc.ts",
    "open_gop_hevc.mp4",
    "open_gop_hevc.mkv",
    "intra_refresh.mp4",
    "vp9.webm",
    "flash.flv",
    "odd_height.avi",
    "gray.mp4",
    "full_range.mp4",
    "yuv444p.mp4",
    "lossless.mp4",
    "square_no_more.mp4",
    "with_sound.mp4",
    "one_frame.mp4",
    "edit_list.mp4",
    "edit_list_hevc.mp4",
    "rotated.mp4",
    "ten_bits.mp4",
    "fragments.mp4",
    "no_edit_list.mov",
    "bgr.avi",
]
# name: why its packets cannot be believed
SCANNED = {
    "h264.avi": "no presentation times",
    "h264_no_b_frames.avi": "do not carry the times of their packets",
    "xvid.avi": "no presentation times",
    "cut_open_gop.ts": "key picture",
    "interlaced.ts": "interlaced",
    "twice_the_same_time.mkv": "times occur twice",
    "two_videos.mp4": "2 videos",
    "raw.h264": "no presentation times",
    "mpeg2.mpg": "no presentation times",
    "vp8.webm": "need not be a picture",
}


def places(n_frames: int, seed: str) -> list[tuple[int, int]]:
    """Ranges at the start, at the end, about the key pictures (every 20 frames), and anywhere."""
    choose = random.Random(seed)
    starts = [n_frames - 1, 0, 19, 21, 40, 39, n_frames - 6, *choose.choices(range(n_frames), k=3)]
    return [
        (start, min(n_frames, start + choose.choice([1, 2, 7])))
        for start in starts
        if 0 <= start < n_frames
    ]


@pytest.mark.parametrize("name", [*SEEKABLE, *SCANNED, "two_sizes.ts", "clock_starts_anew.ts"])
def test_any_order_gives_what_a_full_decode_gives(name, clip, oracle, checksum):
    path = clip(name)
    info = probe(path)
    expected = oracle(path)
    assert info.n_frames == len(expected)
    with VideoReader(path, info) as reader:
        assert checksum(reader.read(0, len(reader))) == expected
        for start, stop in places(len(reader), name):
            assert checksum(reader.read(start, stop)) == expected[start:stop], (start, stop)
        assert reader.info.seekable == info.seekable


@pytest.mark.parametrize("name", SEEKABLE)
def test_packets_are_believed_where_they_can_be(name, clip):
    assert probe(clip(name)).scan_reason == ""


@pytest.mark.parametrize("name", SCANNED)
def test_packets_are_not_believed_where_they_cannot_be(name, clip):
    assert SCANNED[name] in probe(clip(name)).scan_reason


@pytest.mark.parametrize(
    "name", ["plain.mp4", "vfr.mp4", "open_gop_hevc.ts", "edit_list.mp4", "h264.avi"]
)
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_pattern_of_reads(name, clip, oracle, checksum, data):
    path = clip(name)
    expected = oracle(path)
    ends = st.tuples(*[st.integers(0, len(expected))] * 2).map(sorted)
    with VideoReader(path) as reader:
        for start, stop in data.draw(st.lists(ends, min_size=1, max_size=6)):
            note(f"read({start}, {stop}) from {reader.position}")
            assert checksum(reader.read(start, stop)) == expected[start:stop]


def test_frames_are_rgb_and_turned_as_the_file_asks(clip):
    with VideoReader(clip("plain.mp4")) as plain, VideoReader(clip("rotated.mp4")) as rotated:
        assert plain.shape == (90, 64, 96, 3)
        assert rotated.shape == (90, 96, 64, 3)
        turned = np.rot90(plain.read(30, 31)[0], 1)
        assert np.abs(rotated.read(30, 31)[0].astype(int) - turned).mean() < 3


def test_a_seek_does_not_decode_what_is_before_the_key_picture(clip, monkeypatch):
    """Else the tests above would pass by scanning."""
    from soupxr.video import reader as module

    landings = []
    opened = module.open_decoder
    monkeypatch.setattr(
        module,
        "open_decoder",
        lambda info, timeline, start: (
            landings.append(opened(info, timeline, start)) or landings[-1]
        ),
    )
    with VideoReader(clip("plain.mp4")) as reader:
        reader.read(70, 71)
        assert landings[0]._landing is not None
        assert landings[0]._landing.frame == 60
