"""Who waits for which frame, and who no longer does. Pure."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["NOBODY", "Answer", "Line", "Reply", "Want"]

#: The rank of a frame for which nobody waits.
NOBODY = 2

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What became of a want: a picture, an error, or neither because it was dropped.

    Parameters
    ----------
    frame : int
        The frame that was wanted; a picture shows this one and no other.
    view : str
        ``"joined"`` or a view's name.
    jpeg : bytes, optional
        The picture.
    error : str, optional
        Why there is none.
    dropped : bool, optional
        Whether something later took its place. Ask again if it is still wanted.
    """

    frame: int
    view: str
    jpeg: bytes | None = None
    error: str | None = None
    dropped: bool = False


Reply = Callable[[Answer], object]


@dataclass(eq=False)
class Want:
    """One frame that is waited for.

    Parameters
    ----------
    frame : int
        Its number.
    view : str
        ``"joined"`` or a view's name.
    urgent : bool
        Whether it is to be on screen now.
    back : bool
        Whether it was come to from a later one, so that those before it will be next.
    steady : bool
        Whether that goes on, so that many of them will be.
    reply : callable
        Gets the answer.
    begun : bool, optional
        Whether it is being read.
    """

    frame: int
    view: str
    urgent: bool
    back: bool
    steady: bool
    reply: Reply
    begun: bool = False

    def tell(
        self, jpeg: bytes | None = None, *, error: str | None = None, dropped: bool = False
    ) -> None:
        """Answer it. A reply that raises is logged, for others wait as well."""
        try:
            self.reply(Answer(self.frame, self.view, jpeg, error, dropped))
        except Exception:
            log.exception("frame %d: the answer could not be delivered", self.frame)


class Line:
    """Wants without an answer, in their order.

    Parameters
    ----------
    places : int
        Prefetches are turned away while as many wants wait.
    far : int
        Frames beyond which a prefetch is too far from an urgent want to be kept.
    """

    def __init__(self, places: int, far: int) -> None:
        self._places, self._far = places, far
        self._wants: list[Want] = []

    def add(self, want: Want) -> list[Want]:
        """Put a want in line; return those that have no place in it."""
        if not want.urgent and len(self._wants) >= self._places:
            return [want]
        self._wants.append(want)
        return []

    def make_way(self, frame: int) -> list[Want]:
        """Take out what an urgent want of `frame` makes pointless; what has begun stays."""
        return self._take(
            lambda want: not want.begun and (want.urgent or abs(want.frame - frame) > self._far)
        )

    def first(self) -> Want | None:
        """The one to see to next."""
        return min(self._wants, key=lambda want: not want.urgent, default=None)

    def begin(self, frames: range) -> None:
        """Note that these frames, and no others, are being read."""
        for want in self._wants:
            want.begun = want.frame in frames

    def rank(self, frame: int) -> int:
        """How soon a frame is wanted: 0 now, 1 soon, 2 by nobody."""
        return min((1 - want.urgent for want in self._wants if want.frame == frame), default=NOBODY)

    def views(self, frame: int) -> set[str]:
        """In which views a frame is waited for."""
        return {want.view for want in self._wants if want.frame == frame}

    def take(self, frame: int | None = None, view: str | None = None) -> list[Want]:
        """Take out those that wait for a frame, in a view; for any, where it is not given."""
        return self._take(lambda want: frame in (None, want.frame) and view in (None, want.view))

    def _take(self, condition: Callable[[Want], bool]) -> list[Want]:
        taken = [want for want in self._wants if condition(want)]
        self._wants = [want for want in self._wants if want not in taken]
        return taken
