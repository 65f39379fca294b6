"""Facts of videos, and what a person is told about files that are none."""

from __future__ import annotations

import os
import shutil
import threading
from fractions import Fraction

import numpy as np
import pytest

from soupxr.errors import VideoError
from soupxr.video import probe, probe_many
from soupxr.video.packets import NO_STAMP, PacketTable, frame_rate, read_packets


def test_facts_of_a_plain_film(clip):
    info = probe(clip("plain.mp4"))
    assert (info.n_frames, info.height, info.width) == (90, 64, 96)
    assert (info.codec, info.pix_fmt, info.fps) == ("h264", "yuv420p", 30.0)
    assert info.container.startswith("mov,")
    assert info.duration == pytest.approx(3.0)
    assert info.seekable
    assert "timeline" not in repr(info)


def test_edit_lists_and_rotation_count(clip):
    assert probe(clip("edit_list.mp4")).n_frames == 57
    rotated = probe(clip("rotated.mp4"))
    assert (rotated.height, rotated.width) == (96, 64)


@pytest.mark.parametrize(
    ("name", "fps"),
    [("plain.mp4", 30), ("matroska.mkv", 30), ("h264.ts", 30), ("h264.avi", 30), ("slow.mp4", 0.2)],
)
def test_rate(name, fps, clip):
    assert probe(clip(name)).fps == pytest.approx(fps, rel=1e-12)


def test_rate_of_variable_steps_is_the_mean(clip):
    info = probe(clip("vfr.mp4"))
    assert info.fps == pytest.approx(info.n_frames / 3, rel=0.03)


@pytest.mark.parametrize(
    ("declared", "expected"),
    [("30", 1_000_000 / 33_333), ("29.97", 1_000_000 / 33_333), ("0.2", 1_000_000 / 33_333)],
)
def test_stamps_know_better_than_a_rounded_rate(declared, expected):
    steps = np.arange(1000) * 33_333
    table = _table(Fraction(1, 1_000_000), steps, 33_333)
    assert float(frame_rate(table, Fraction(declared), averaged=True)) == pytest.approx(expected)


def test_a_declared_rate_that_fits_rounded_stamps_is_exact():
    stamps = np.round(np.arange(500) * 1000 * 1001 / 30000)
    table = _table(Fraction(1, 1000), stamps, 33)
    assert frame_rate(table, Fraction("29.97"), averaged=False) == Fraction(30000, 1001)


def test_a_declared_rate_that_does_not_fit_is_not_believed():
    table = _table(Fraction(1, 1000), np.arange(500) * 50, 50)
    assert frame_rate(table, Fraction(30), averaged=False) == 20


def test_without_any_time_the_declared_rate_counts():
    table = _table(Fraction(1, 1000), np.full(5, NO_STAMP), 0)
    assert frame_rate(table, Fraction(12), averaged=True) == 12


def _table(tick, stamps, duration) -> PacketTable:
    stamps = stamps.astype(np.int64)
    flags = np.zeros(len(stamps), np.uint8)
    sums = np.zeros(len(stamps), np.uint32)
    return PacketTable(tick, stamps, stamps, np.full(len(stamps), duration), flags, sums)


def test_packet_lines_are_read():
    lines = [
        b"#tb 0: 1/30",
        b"0,  -1,  0, 1, 500, 0x00000000, F=0x5, S=1, 8",
        b"1,  -1,  0, 1, 400, 0x00000000, F=0x5",
        b"0,   0,  1, 1,  50, 0x0000000b",
        b"0,   1,  2, 1,  50, 0x00000000, F=0x0",
    ]
    packets = read_packets(lines, keys_apart=True)
    assert packets.tick == Fraction(1, 30)
    assert packets.pts.tolist() == [0, 1, 2]
    assert packets.flags.tolist() == [5, 0, 0]
    assert packets.shown.tolist() == [False, True, True]
    assert packets.sums.tolist() == [0, 11, 0]
    assert read_packets(lines, keys_apart=False).flags.tolist() == [5, 1, 0]


def test_damage_that_demuxing_shows_is_counted_by_decoding(clip, tmp_path, oracle):
    whole = clip("matroska.mkv").read_bytes()
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    info = probe(cut)
    assert info.n_frames == len(oracle(cut))
    assert not info.seekable


def test_frames_lost_from_the_middle_are_an_error(clip, tmp_path):
    whole = bytearray(clip("longer.mp4").read_bytes())
    middle = slice(len(whole) * 4 // 10, len(whole) * 6 // 10)
    whole[middle] = bytes(middle.stop - middle.start)
    path = tmp_path / "damaged.mp4"
    path.write_bytes(whole)
    with pytest.raises(VideoError, match=r"expected 240 frames, but got only \d+ .* damaged") as e:
        probe(path)
    assert "\n  ffmpeg: [" in str(e.value)


# ------------------------------------------------------------------ files that are no videos


def _made(tmp_path, clip, kind):
    path = tmp_path / "trial.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "pointer":
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n")
    elif kind == "text":
        path.write_text("frame,behavior\n1,grab\n" * 200)
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(1).bytes(50_000))
    elif kind == "truncated":
        whole = clip("plain.mp4").read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "playlist":
        path.write_text(f"ffconcat version 1.0\nfile {clip('plain.mp4').name}\n")
        shutil.copy(clip("plain.mp4"), tmp_path / "plain.mp4")
    return path


@pytest.mark.parametrize(
    ("kind", "found", "remedy"),
    [
        ("missing", "no file of that name", "data_root"),
        ("folder", "a folder", "Name a video in it"),
        ("pipe", "not a plain file", "Name a video file"),
        ("empty", "an empty file (0 bytes)", "Copy it again"),
        ("pointer", "a Git LFS pointer", "git lfs pull"),
        ("text", "no video", "Copy it again"),
        ("noise", "no video", "Copy it again"),
        ("truncated", "cut short", "Copy it again"),
        ("playlist", "another kind (concat)", "Name a video file"),
    ],
)
def test_an_error_says_what_was_found_and_what_to_do(kind, found, remedy, tmp_path, clip):
    path = _made(tmp_path, clip, kind)
    with pytest.raises(VideoError) as caught:
        probe(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: expected a video, but got ")
    assert found in message
    assert remedy in message


def test_a_file_of_sound_has_no_pictures(tmp_path):
    import wave

    path = tmp_path / "voice.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000))
    with pytest.raises(VideoError, match="a file without pictures"):
        probe(path)


def test_a_file_that_may_not_be_read(tmp_path, clip, monkeypatch):
    path = tmp_path / "closed.mp4"
    shutil.copy(clip("plain.mp4"), path)
    path.chmod(0)
    if os.access(path, os.R_OK):  # the superuser may read everything

        def refuse(*_: object, **__: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("soupxr.video.faults.open", refuse, raising=False)
    with pytest.raises(VideoError, match="a file that you may not read"):
        probe(path)


def test_a_crash_of_ffmpeg_is_told_as_such():
    from soupxr.video import faults

    assert "ffmpeg crashed (signal 11)" in str(faults.undecodable("a.ts", ["x"], -11))


def test_last_words_are_few_and_useful():
    from soupxr.video import faults

    told = faults.last_words(["[h264 @ 0x7f00] bad"] * 5 + ["", "one", "two", "three"])
    assert told == "\n  ffmpeg: one\n  ffmpeg: two\n  ffmpeg: three"


# ------------------------------------------------------------------ names and many files


@pytest.mark.parametrize(
    "name",
    [
        "-i.mp4",
        "a:b.mp4",
        "file:x.mp4",
        "100%d%%.mp4",
        'it\'s "quoted" $(x) `y`.mp4',
        "Mäuschen 鼠 🐁.mp4",
        "two\nlines.mp4",
        "back\\slash [1] {2} *?.mp4",
    ],
)
def test_any_name_will_do(name, clip, tmp_path, monkeypatch, oracle, checksum):
    from soupxr.video import VideoReader

    shutil.copy(clip("plain.mp4"), tmp_path / name)
    monkeypatch.chdir(tmp_path)
    info = probe(name)
    assert info.path == str(tmp_path / name)
    with VideoReader(name, info) as reader:
        expected = oracle(clip("plain.mp4"))
        assert checksum(reader.read(50, 52)) == expected[50:52]


def test_many_at_once_keep_their_order_and_their_errors(clip, tmp_path):
    names = ["plain.mp4", "vfr.mp4", "h264.avi", "gray.mp4"]
    paths = [clip(name) for name in names]
    paths.insert(2, tmp_path / "missing.mp4")
    calls = []
    found = probe_many(paths, max_workers=4, progress=lambda *done: calls.append(done))
    assert calls == [(k, 5) for k in range(1, 6)]
    assert isinstance(found[2], VideoError)
    assert [probe(path) for path in paths if path.exists()] == [
        f for f in found if f is not found[2]
    ]


def test_none_at_all():
    assert probe_many([]) == []


def test_an_error_in_progress_stops_the_probing(clip, running):
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        probe_many([clip("plain.mp4")] * 10, max_workers=2, progress=fail)
    assert not running()
    assert not [t for t in threading.enumerate() if t.name.startswith("soupxr-probe")]
