"""One run of ffmpeg over a video, standing before some frame.

A decoder is started at a frame and gives frames in order from there. How it got there is checked
twice: the packet that the seek landed on must not lie behind the key picture that the frame needs,
and each frame must carry the stamp that demuxing gave for it. A start that fails the check is
tried again from an earlier key picture, at last from the start of the file.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from soupxr.errors import VideoError
from soupxr.video import faults
from soupxr.video.ffmpeg import MARK, STALL_SECONDS, Ffmpeg, Report, source
from soupxr.video.probe import VideoInfo
from soupxr.video.timeline import Landing, Timeline

__all__ = ["Decoder", "open_decoder"]

# While it skips frames, ffmpeg gives no sign of life; no file should take longer than this (s).
SECONDS_A_SKIPPED_FRAME = 0.1


class Decoder:
    """A running decode.

    Parameters
    ----------
    info : VideoInfo
        The video.
    timeline : Timeline or None
        Its stamps; None where they are not to be trusted.
    start : int
        The first frame to give.
    landing : Landing or None
        Key picture to seek to; None decodes from the start of the file.

    Attributes
    ----------
    position : int
        The next frame that it gives.
    """

    def __init__(
        self, info: VideoInfo, timeline: Timeline | None, start: int, landing: Landing | None
    ) -> None:
        self._info, self._timeline, self._landing = info, timeline, landing
        self.position = start
        skipped = start - (landing.frame if landing else 0)
        self._first_patience = STALL_SECONDS + skipped * SECONDS_A_SKIPPED_FRAME
        self._first: Report | None = None
        self._landed_on_key = False
        self._ffmpeg = Ffmpeg(info.path, self._arguments())
        self.pid = self._ffmpeg.pid

    def _arguments(self) -> list[str]:
        arguments = ["-v", "error"]
        if self._timeline is not None:
            arguments += ["-copyts"]
        if self._landing is not None:
            at = f"{self._landing.microseconds}us"
            arguments += ["-noaccurate_seek", "-seek_timestamp", "1", "-ss", at]
            if self._info.x264_build >= 0:
                arguments += ["-x264_build", str(self._info.x264_build)]
        arguments += source(self._info.path)
        if self._landing is not None:
            arguments += ["-map", "0:V:0", "-c", "copy", "-copyinkf", "-copypriorss", "1"]
            arguments += ["-frames:v", "1", "-f", "framecrc", "pipe:2"]
        arguments += ["-map", "0:V:0", "-fps_mode", "passthrough", *self._skip()]
        arguments += ["-stats_enc_post", "pipe:2"]
        arguments += ["-stats_enc_post_fmt", f"{MARK} {{ni}} {{ptsi}} {{size}}"]
        return [*arguments, "-c:v", "rawvideo", "-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"]

    def _skip(self) -> list[str]:
        """Drop frames before ours inside ffmpeg, before they are converted and piped."""
        if self.position == 0:
            return []
        if self._timeline is None:
            return ["-vf", f"trim=start_frame={self.position}"]
        return ["-vf", f"trim=start_pts={self._timeline.frames[self.position]}"]

    def starts_right(self) -> bool:
        """Whether it landed where it should and its first frame is the one asked for."""
        if self._landing is not None:
            landed = self._ffmpeg.next_packet()
            assert self._timeline is not None
            place = None if landed is None else self._timeline.place(landed[1])
            if landed is None or place is None or place > self._landing.place:
                return False
            # An index can point beside the pictures: then another one has got this one's time.
            if self._timeline.is_another(place, landed[-1]):
                return False
            self._landed_on_key = place == self._landing.place
        self._first = self._ffmpeg.next_frame(self._first_patience)
        return self._is(self._first, self.position) and not self._lacks_something()

    def _lacks_something(self) -> bool:
        """Whether the decoder stumbles, as it does when a seek skipped what it had to know."""
        return self._landed_on_key and any(
            word.startswith(f"[{self._info.codec}") for word in self._ffmpeg.words
        )

    def _is(self, report: Report | None, frame: int) -> bool:
        if report is None:
            return False
        number, stamp, size = report
        if size != self._info.frame_bytes:
            return False
        if self._timeline is None:
            return number == frame
        return stamp == int(self._timeline.frames[frame])

    def read_into(self, out: npt.NDArray[np.uint8]) -> None:
        """Fill an array with the next frames.

        Parameters
        ----------
        out : array of uint8, shape (frames, height, width, 3), C-contiguous
            Receives the frames.

        Raises
        ------
        VideoError
            If the file gives fewer frames, or others, than it promised.
        """
        read = self._ffmpeg.read_into(out.reshape(-1).data)
        for _ in range(read // self._info.frame_bytes):
            report, self._first = self._first or self._ffmpeg.next_frame(), None
            if not self._is(report, self.position):
                raise self.damaged()
            self.position += 1
        if read < out.nbytes:
            self._ffmpeg.finish()
            raise self.damaged()
        if self._lacks_something():
            raise self.damaged()

    def damaged(self) -> VideoError:
        """An error that says that the frame at this position is not to be had."""
        return faults.damaged(
            self._info.path, self.position, self._info.n_frames, self._ffmpeg.words
        )

    def close(self) -> None:
        """End the decode. Safe to call again."""
        self._ffmpeg.close()


def open_decoder(info: VideoInfo, timeline: Timeline | None, start: int) -> Decoder:
    """Start a decoder that is known to stand before a frame.

    Raises
    ------
    VideoError
        If even a decode from the start of the file does not give this frame.
    """
    landings = timeline.landings(start) if timeline is not None else ()
    for landing in [*landings, None]:
        decoder = Decoder(info, timeline, start, landing)
        try:
            if decoder.starts_right():
                return decoder
        except BaseException:
            decoder.close()
            raise
        decoder.close()
    raise decoder.damaged()
