"""Frame-exact video.

What the reader promises:

- frame ``i`` is the ``i``-th picture of a full decode by ffmpeg: RGB, uint8, rotated as asked;
- any range can be read in any order, from any thread or process; memory holds what was asked for;
- a frame is sought by its time stamp where stamps can be trusted, and every frame is checked
  against its stamp; else the file is scanned from its start, so the frame is right all the same;
- reading on continues one ffmpeg; that process ends with its reader, at the end of the file, or
  when Python ends, however it ends;
- readers and lazy arrays can be pickled: they hold paths and facts, no open files;
- what cannot be read as promised raises :class:`~soupxr.errors.VideoError`, and never hangs.
"""

from __future__ import annotations

from soupxr.video.frames import as_dataarray, lazy_frames
from soupxr.video.pool import close_all
from soupxr.video.probe import VideoInfo, probe, probe_many
from soupxr.video.reader import VideoReader

__all__ = [
    "VideoInfo",
    "VideoReader",
    "as_dataarray",
    "close_all",
    "lazy_frames",
    "probe",
    "probe_many",
]
