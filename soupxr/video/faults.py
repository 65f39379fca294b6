"""What went wrong with a video, in words for the person who filmed it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence

from soupxr.errors import VideoError

__all__ = ["Damaged", "changed", "check_file", "cut_short", "damaged", "stalled", "undecodable"]

COPY_AGAIN = "Copy it again from where it was recorded, or take it out of the folder."
RE_ENCODE = "Copy it again, or re-encode what can be saved: ffmpeg -i FILE -crf 17 NEW.mp4"
LAST_LINES = 3

# The first pattern found in ffmpeg's last words decides: (pattern, what was found, what to do).
_KNOWN = (
    (
        "moov atom not found",
        "one that is cut short: its index is missing, as when a recording or a copy was stopped",
        COPY_AGAIN,
    ),
    (
        "matches no streams",
        "a file without pictures (sound only, or data)",
        "Take it out of the folder, or name the video that belongs there.",
    ),
    (
        "Invalid data found when processing input|Unknown input format",
        "a file that is no video, or one that is damaged at its start",
        COPY_AGAIN,
    ),
    (
        "Decoder .* not found|Unknown decoder|no decoder found|Decoding requested, but",
        "a codec that this ffmpeg does not know",
        "Re-encode it with the camera's software, for example to H.264 in mp4.",
    ),
)


class Damaged(VideoError):
    """A frame that the file promises is not to be had."""


def _found(path: str, found: str, remedy: str) -> VideoError:
    return VideoError(f"{path}: expected a video, but got {found}. {remedy}")


def check_file(path: str) -> os.stat_result:
    """Facts of a file that can be opened and has something in it.

    Raises
    ------
    VideoError
        If it is missing, not a file, closed to us, empty, or a stand-in for a file elsewhere.
    """
    try:
        facts = os.stat(path)
    except FileNotFoundError:
        raise _found(
            path,
            "no file of that name",
            "Check the spelling and data_root, and that the drive is connected.",
        ) from None
    except (OSError, ValueError) as error:
        raise _found(path, f"an error from the file system ({error})", "Check the path.") from None
    if stat.S_ISDIR(facts.st_mode):
        raise _found(path, "a folder", "Name a video in it.")
    if not stat.S_ISREG(facts.st_mode):
        raise _found(path, "something that is not a plain file", "Name a video file.")
    try:
        with open(path, "rb") as file:
            head = file.read(64)
    except PermissionError:
        raise _found(
            path, "a file that you may not read", "Ask its owner for permission to read it."
        ) from None
    except OSError as error:
        raise _found(path, f"an error from the file system ({error})", COPY_AGAIN) from None
    if not head:
        raise _found(path, "an empty file (0 bytes)", COPY_AGAIN)
    if head.startswith(b"version https://git-lfs"):
        raise _found(
            path,
            f"a Git LFS pointer ({facts.st_size} bytes of text that stand for the video)",
            "Fetch the video itself: git lfs pull",
        )
    return facts


def undecodable(path: str, words: Sequence[str], status: int) -> VideoError:
    """An error for a file that ffmpeg could not open, or of which it could decode nothing."""
    said = last_words(words)
    if status < 0:
        return VideoError(
            f"{path}: ffmpeg crashed (signal {-status}) on this file. {RE_ENCODE}{said}"
        )
    text = "\n".join(words)
    if other := re.search(r"\[(\w+) @ [^]]*\] Format not on whitelist", text):
        return _found(path, f"a file of another kind ({other[1]})", "Name a video file.")
    known = _KNOWN if _begins_like_mp4(path) else _KNOWN[1:]
    for pattern, found, remedy in known:
        if re.search(pattern, text):
            return VideoError(f"{_found(path, found, remedy)}{said}")
    return VideoError(f"{_found(path, 'one that cannot be decoded', RE_ENCODE)}{said}")


def _begins_like_mp4(path: str) -> bool:
    """Else ffmpeg goes by the ending of the name, and misses an index that never was."""
    with open(path, "rb") as file:
        return file.read(8)[4:] in (b"ftyp", b"mdat", b"wide", b"free", b"skip", b"pnot")


def absurd(path: str) -> VideoError:
    """An error for a file that promises more pictures than it has bytes."""
    return _found(path, "one whose index names more pictures than it can hold", COPY_AGAIN)


def damaged(path: str, frame: int, promised: int, words: Sequence[str] = ()) -> Damaged:
    """An error for a frame that the file promises and does not give."""
    return Damaged(
        f"{path}: expected {promised} frames, but got only {frame} before the pictures end or "
        f"no longer fit their times. The file is damaged there, or was changed while it was read. "
        f"{RE_ENCODE}{last_words(words)}"
    )


def cut_short(path: str, missing: int) -> VideoError:
    """An error for a file that ends before it says it does."""
    return _found(
        path,
        f"one that is cut short: {missing:,} bytes or more are missing at its end, as when a copy "
        "was stopped",
        RE_ENCODE,
    )


def changed(path: str, expected: str, found: str) -> VideoError:
    """An error for a file that is not the one that was probed."""
    return VideoError(
        f"{path}: expected {expected}, as when it was first looked at, but got {found}: the file "
        "has been replaced since. Put the old one back, or add the trial again."
    )


def stalled(path: str, patience: float) -> VideoError:
    """An error for a read that brought nothing for too long."""
    return VideoError(
        f"{path}: expected the next frame, but got nothing for {patience:.0f} seconds. Check that "
        "the drive or network it is on still answers, and try again."
    )


def last_words(words: Sequence[str]) -> str:
    """The last useful lines of ffmpeg, as the tail of a message."""
    useful = [re.sub(r"@ 0x[0-9a-f]+", "", word).strip() for word in words]
    useful = [word for word in dict.fromkeys(useful) if word][-LAST_LINES:]
    return "".join(f"\n  ffmpeg: {word}" for word in useful)
