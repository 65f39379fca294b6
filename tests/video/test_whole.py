"""Files that end before they say they do."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import imageio_ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soupxr.errors import VideoError
from soupxr.video import probe
from soupxr.video.whole import missing_bytes

FRAGMENTS = ["-movflags", "frag_keyframe+empty_moov"]


def copied(path: Path, to: Path, *options: str) -> bytes:
    """The same pictures in another file; its bytes."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", str(path)]
    subprocess.run([*command, "-c", "copy", *options, str(to)], check=True)
    return to.read_bytes()


@pytest.mark.parametrize("part", [0.5, 0.7, 0.9])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.avi"])
def test_half_a_copy_is_refused_and_not_taken_for_a_shorter_trial(tmp_path, clip, name, part):
    path = tmp_path / name
    options = [] if name == "a.avi" else ["-movflags", "+faststart"]
    whole = copied(clip("plain.mp4"), path, *options)
    assert missing_bytes(str(path)) == 0
    there = int(part * len(whole))
    path.write_bytes(whole[:there])
    assert 0 < missing_bytes(str(path)) <= len(whole) - there
    with pytest.raises(VideoError, match=r"cut short: [\d,]+ bytes or more .*Copy it again"):
        probe(path)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_an_index_at_the_end_is_missed_too(tmp_path, clip, part):
    path = tmp_path / "a.mp4"
    whole = copied(clip("plain.mp4"), path)
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(VideoError, match="cut short"):
        probe(path)


@pytest.mark.parametrize(("name", "options"), [("a.mp4", FRAGMENTS), ("a.mkv", [])])
def test_what_is_made_to_be_cut_off_counts_for_what_it_holds(tmp_path, clip, name, options):
    path = tmp_path / name
    whole = copied(clip("plain.mp4"), path, *options)
    n_frames = probe(path).n_frames
    path.write_bytes(whole[: int(0.95 * len(whole))])
    assert missing_bytes(str(path)) == 0
    assert 0 < probe(path).n_frames < n_frames


def test_an_avi_of_a_recorder_that_died_counts_for_what_it_holds(tmp_path, clip):
    path = tmp_path / "a.avi"
    whole = copied(clip("plain.mp4"), path)
    pictures = whole.index(b"movi") - 4
    for placeholder in (0, 0xFFFFFFFF):
        head = whole[:pictures] + struct.pack("<I", placeholder)
        path.write_bytes(head + whole[pictures + 4 : -5000])
        assert missing_bytes(str(path)) == 0


@given(head=st.sampled_from([b"", b"RIFF\xff\0\0\0AVI ", b"\0\0\0\x08ftyp"]), rest=st.binary())
def test_whatever_a_file_holds_it_comes_to_an_end(tmp_path_factory, head, rest):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(head + rest)
    assert missing_bytes(str(path)) >= 0


def test_every_real_video_but_the_one_that_was_cut_is_whole(shared):
    videos = [p for p in sorted((shared / "data").rglob("*.*")) if p.suffix in (".mp4", ".avi")]
    assert len(videos) > 20
    cut = [path.name for path in videos if missing_bytes(str(path))]
    assert cut == ["made_truncated_mp4.mp4"]


def test_more_after_the_end_is_no_fault(tmp_path, clip):
    path = tmp_path / "a.mp4"
    shutil.copy(clip("plain.mp4"), path)
    with path.open("ab") as file:
        file.write(b"notes of a camera" * 10)
    assert missing_bytes(str(path)) == 0
