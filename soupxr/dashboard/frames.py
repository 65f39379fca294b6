"""One trial's frames as JPEG, for a page that asks for them.

A page asks for the frame that is to be on screen now (an urgent want) and for some that it will
need next (prefetches). One thread reads, and answers every want exactly once. The latest urgent
want wins: those before it that have not begun are dropped, and so are prefetches far from it.
While frames are played, the thread reads ahead of them; otherwise only a little beyond the last.

It reads in pieces of bounded size, so that an urgent want waits for one piece at most. A seek costs
as much as tens of frames; so after one, what is read ends with the wanted frame and begins with
some before it, and on the way back with as many as are worth the seek.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from functools import partial

import numpy as np
import numpy.typing as npt

from soupxr.dashboard.decoding import JOINED, Decoding
from soupxr.dashboard.jpegs import JpegCache, to_jpeg
from soupxr.dashboard.readahead import FAR_FRAMES, Head, Plan
from soupxr.dashboard.wants import NOBODY, Answer, Line, Reply, Want
from soupxr.dataset import data_root
from soupxr.errors import SoupError, VideoError, expected
from soupxr.ingest import resolve_video
from soupxr.store import Store, StoredTrial
from soupxr.video import VideoInfo
from soupxr.video.frames import FrameSource, frame_source

__all__ = ["JOINED", "Answer", "FrameServer", "serve_trial"]

CACHE_BYTES = 48_000_000
MAX_WIDTH = 1600
PREFETCHES = 32

log = logging.getLogger(__name__)


class FrameServer:
    """Answers wants of one trial's frames.

    Every method but :meth:`infos` returns at once; all may be called from any thread. Videos are
    opened in the server's own thread; where that fails, each want is answered with the reason. A
    frame that cannot be read is an error for this frame alone.

    Parameters
    ----------
    open_source : callable
        Returns the trial's :class:`~soupxr.video.frames.FrameSource`.
    views : sequence of str
        Names of its views, left to right.
    n_frames : int
        Frames of the trial.
    max_width : int, optional
        Wider pictures (pixels) are made smaller. Default: 1600.
    cache_bytes : int, optional
        JPEGs kept, in bytes; those used last stay. Default: 48 MB.
    clock : callable, optional
        Seconds, to tell whether frames are still being played.
    """

    def __init__(
        self,
        open_source: Callable[[], FrameSource],
        views: Sequence[str],
        n_frames: int,
        *,
        max_width: int = MAX_WIDTH,
        cache_bytes: int = CACHE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._open_source, self._views, self._n_frames = open_source, tuple(views), n_frames
        self._max_width, self._clock = max_width, clock
        self._changed = threading.Condition()  # guards what follows
        self._line = Line(PREFETCHES, FAR_FRAMES)
        self._cache = JpegCache(cache_bytes)
        self._plan = Plan(self._cache, n_frames)
        self._failed: dict[int, str] = {}
        self._broken: str | None = None
        self._closed = False
        self._source: Future[FrameSource] = Future()
        self._thread = threading.Thread(target=self._run, name="soupxr-frames", daemon=True)
        self._thread.start()

    def infos(self) -> tuple[VideoInfo, ...]:
        """Facts of the videos; waits until they have been opened.

        Raises
        ------
        SoupError
            Why they cannot be shown.
        """
        error = self._source.exception()
        if error is not None and not isinstance(error, SoupError):
            raise VideoError(f"{type(error).__name__}: {error}") from error
        return self._source.result().infos

    def want(
        self, frame: int, view: str, *, direction: int = 0, urgent: bool, reply: Reply
    ) -> None:
        """Ask for one frame.

        Parameters
        ----------
        frame : int
            Its number.
        view : str
            ``"joined"`` or a view's name.
        direction : {-1, 0, 1}, optional
            Which way frames are being played; 0 where they are not.
        urgent : bool
            Whether it is to be on screen now.
        reply : callable
            Gets the :class:`Answer`, once: in this thread where it is known already, else in the
            server's.
        """
        with self._changed:
            answers = self._admit(frame, view, direction, urgent, reply)
            self._changed.notify()
        for tell in answers:
            tell()

    @property
    def bytes_held(self) -> int:
        """Size of the JPEGs that are kept."""
        return self._cache.n_bytes

    def close(self, *, wait: bool = False) -> None:
        """Drop all wants and end; decoders end with what is being read. Safe to call again.

        Parameters
        ----------
        wait : bool, optional
            Return only when the decoders have ended. Default: at once.
        """
        with self._changed:
            self._closed = True
            self._cache.clear()
            wants = self._line.take()
            self._changed.notify()
        for want in wants:
            want.tell(dropped=True)
        if wait and threading.current_thread() is not self._thread:
            self._thread.join()

    # -------------------------------------------------------------- wants, in any thread

    def _admit(
        self, frame: int, view: str, direction: int, urgent: bool, reply: Reply
    ) -> list[Callable[[], None]]:
        """Put a want in line; return the answers that can be given now."""
        head = self._plan.head
        back = self._plan.goes_back(frame, direction)
        steady = direction != 0 or (head is not None and head.back)
        want = Want(frame, view, urgent, back, back and steady, reply)
        if self._closed:
            return [partial(want.tell, dropped=True)]
        if error := self._broken or self._refusal(frame, view):
            return [partial(want.tell, error=error)]
        if urgent or direction:
            self._plan.head = Head(frame, view, back, direction != 0, self._clock())
        pushed_out = self._line.make_way(frame) if urgent else []
        answers: list[Callable[[], None]] = []
        if (jpeg := self._cache.get((frame, view))) is not None:
            answers.append(partial(want.tell, jpeg))
        elif error := self._failed.get(frame):
            answers.append(partial(want.tell, error=error))
        else:
            pushed_out += self._line.add(want)
        return [*answers, *(partial(other.tell, dropped=True) for other in pushed_out)]

    def _refusal(self, frame: int, view: str) -> str | None:
        if not 0 <= frame < self._n_frames:
            return expected("frame", f"a number from 0 to {self._n_frames - 1}", frame)
        if view not in (JOINED, *self._views):
            return expected("view", f"one of {[JOINED, *self._views]}", view)
        return None

    # -------------------------------------------------------------- answers, in our thread

    def _run(self) -> None:
        try:
            with closing(Decoding(self._opened(), self._views)) as decoding:
                while (frames := self._next(decoding)) is not None:
                    self._serve(decoding, frames)
        except SoupError as error:
            self._give_up(str(error))
        except Exception as error:
            log.exception("frames can no longer be shown")
            self._give_up(f"{type(error).__name__}: {error}")

    def _opened(self) -> FrameSource:
        try:
            source = self._open_source()
        except BaseException as error:
            self._source.set_exception(error)
            raise
        self._source.set_result(source)
        return source

    def _next(self, decoding: Decoding) -> range | None:
        """Wait until there are frames to read; None when the server is closed."""
        with self._changed:
            while not self._closed:
                frames = self._wanted(decoding) or self._plan.ahead(decoding, self._clock())
                if frames is not None:
                    self._line.begin(frames)
                    return frames
                self._changed.wait()
        return None

    def _wanted(self, decoding: Decoding) -> range | None:
        """The piece to read next for those who wait."""
        want = self._line.first()
        if want is None:
            return None
        if want.frame in decoding.kept:
            return range(want.frame, want.frame + 1)
        # Frames just before it are next to free: a seek decodes from far before them.
        size = decoding.block if want.steady else decoding.piece
        return self._plan.toward(decoding, want.frame, size)

    def _serve(self, decoding: Decoding, frames: range) -> None:
        with self._changed:
            order = sorted(frames, key=self._line.rank)
            wanted = self._line.rank(order[0]) < NOBODY
        try:
            pictures = decoding.read(frames, wanted=wanted)
        except SoupError as error:
            self._miss(frames, str(error))
            return
        for frame in order:
            self._deliver(decoding, frame, pictures[frame - frames.start])

    def _deliver(self, decoding: Decoding, frame: int, picture: npt.NDArray[np.uint8]) -> None:
        """Keep a frame that has been read, and answer those who wait for it."""
        with self._changed:
            views, plan = self._line.views(frame), self._plan
            if plan.head is not None and not plan.holds(frame) and not plan.is_left(frame):
                views.add(plan.head.view)
        for view in views:
            jpeg = to_jpeg(picture[decoding.boxes[view]], self._max_width)
            with self._changed:
                if self._closed:
                    return
                self._cache.put((frame, view), jpeg)
                wants = self._line.take(frame, view)
            for want in wants:
                want.tell(jpeg)

    def _miss(self, frames: range, error: str) -> None:
        """Note frames that could not be read: one is an error, of several each is tried alone."""
        with self._changed:
            self._plan.doubt(frames)
            wants: list[Want] = []
            if len(frames) == 1:
                self._failed[frames[0]] = error
                wants = self._line.take(frames[0])
        for want in wants:
            want.tell(error=error)

    def _give_up(self, error: str) -> None:
        with self._changed:
            self._broken = error
            wants = self._line.take()
        for want in wants:
            want.tell(error=error)


def serve_trial(store: Store, trial: StoredTrial) -> FrameServer:
    """Serve the frames of a stored trial; what is wrong with its videos is told by each answer."""
    views = store.labels("view")

    def open_source() -> FrameSource:
        root = data_root(store)
        paths = [resolve_video(root, path) for path in trial.video_paths]
        return frame_source(paths, trial.n_frames, None, store.attrs["join"])

    return FrameServer(open_source, views, trial.n_frames)
