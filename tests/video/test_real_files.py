"""Every real video is frame-exact, and its facts are those of the manifest."""

from __future__ import annotations

import csv
import random
from fractions import Fraction
from pathlib import Path

import pytest

from soupxr.video import VideoReader, probe
from soupxr.video.timeline import Timeline

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
LARGE = 1e9  # bytes of decoded frames


def _manifest() -> list[dict[str, str]]:
    if not (DATA / "manifest.csv").is_file():
        return []
    with open(DATA / "manifest.csv", encoding="utf-8", newline="") as file:
        return [row for row in csv.DictReader(file) if row["decoded_frames"].isdigit()]


def _parameters(*, divide: bool):
    for row in _manifest():
        raw = int(row["decoded_frames"]) * int(row["width"]) * int(row["height"]) * 3
        marks = [pytest.mark.thorough] if divide and raw > LARGE else []
        yield pytest.param(row, id=row["path"], marks=marks)


ABSENT = pytest.param(None, marks=pytest.mark.skip(reason=f"no real videos at {DATA}"))


@pytest.mark.parametrize("row", [*_parameters(divide=False)] or [ABSENT])
def test_facts(row):
    info = probe(DATA / row["path"])
    assert info.n_frames == int(row["decoded_frames"])
    assert (info.width, info.height) == (int(row["width"]), int(row["height"]))
    assert (info.codec, info.pix_fmt) == (row["codec"], row["pix_fmt"])
    assert info.fps == pytest.approx(float(Fraction(row["avg_fps"])), rel=1e-9)


def _places(info, seed: str) -> list[tuple[int, int]]:
    choose = random.Random(seed)
    starts = [info.n_frames - 1, 0, choose.randrange(info.n_frames)]
    if info.seekable:
        timeline = Timeline.unpack(info.timeline)
        keys = sorted({timeline.key_frame(frame) for frame in range(info.n_frames)})
        key = choose.choice(keys)
        starts += [key, max(0, key - 2)]
    return [(start, min(info.n_frames, start + choose.choice([1, 4]))) for start in starts]


@pytest.mark.parametrize("row", [*_parameters(divide=True)] or [ABSENT])
def test_frames(row, some_frames, checksum):
    path = DATA / row["path"]
    with VideoReader(path) as reader:
        places = _places(reader.info, row["path"])
        wanted = {frame for place in places for frame in range(*place)} | {len(reader) - 1}
        expected = some_frames(path, wanted)  # a full decode has as many frames as the reader
        for start, stop in places:
            read = checksum(reader.read(start, stop))
            assert read == [expected[frame] for frame in range(start, stop)], (start, stop)


def test_what_the_first_picture_tells_the_decoder_is_not_lost_by_a_seek(oracle, checksum):
    """This file's x264 had a bug that ffmpeg allows for, by a remark in the first picture alone."""
    path = DATA / "originals" / "openfield_m3v1mp4.mp4"
    if not path.is_file():
        pytest.skip(f"no real videos at {DATA}")
    expected = oracle(path, 420)
    info = probe(path)
    assert info.x264_build == 148
    with VideoReader(path, info) as reader:
        for start in (181, 182, 250, 366, 399):
            assert checksum(reader.read(start, start + 3)) == expected[start : start + 3]
        assert reader.info.seekable
