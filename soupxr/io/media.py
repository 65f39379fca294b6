"""How an export names the videos that it speaks of."""

from __future__ import annotations

import os
from pathlib import Path

from soupxr.video.remote import is_remote

__all__ = ["named_from"]


def named_from(folder: Path, video: Path) -> str:
    """Path of a video from a folder where that is possible, else as it is; a URL stays one."""
    if is_remote(video):
        return str(video)
    try:
        return Path(os.path.relpath(video, folder)).as_posix()
    except ValueError:  # another drive of a Windows machine
        return video.as_posix()
