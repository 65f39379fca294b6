"""The frame that is shown is the frame that is named, and nothing is read that nobody will see."""

from __future__ import annotations

import io
import queue
import random
import subprocess
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial

import imageio_ffmpeg
import numpy as np
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pages import until
from PIL import Image
from processes import ffmpegs

from soupxr.dashboard.frames import JOINED, Answer, FrameServer, serve_trial
from soupxr.dashboard.jpegs import JpegCache, to_jpeg
from soupxr.dataset import data_root, store_of
from soupxr.errors import VideoError
from soupxr.video import close_all, probe
from soupxr.video.frames import FrameSource
from soupxr.video.pool import this_process
from soupxr.video.probe import VideoInfo

VIEWS = ("side", "front")
HEIGHT, WIDTH, CELLS = 64, 96, 16
PATIENCE = 30  # seconds; nothing here takes one


# ------------------------------------------------------------------ pictures that carry a number


def drawn(frame: int, view: int) -> np.ndarray:
    """uint8 (HEIGHT, WIDTH, 3): 4 by 4 black and white cells that spell frame and view."""
    word = frame * 2 + view
    bits = [word >> bit & 1 for bit in range(CELLS - 1)]
    cells = np.array([*bits, sum(bits) % 2], np.uint8).reshape(4, 4) * 255
    picture = cells.repeat(HEIGHT // 4, axis=0).repeat(WIDTH // 4, axis=1)
    return np.stack([picture] * 3, axis=-1)


def spelt(picture: np.ndarray) -> tuple[int, int]:
    """Frame and view of a picture; fails where it is not clearly one of ours."""
    height, width = picture.shape[0] // 4, picture.shape[1] // 4
    cells = picture.reshape(4, height, 4, width, 3).mean(axis=(1, 3, 4)).ravel()
    assert np.abs(cells - 127).min() > 60
    bits = (cells > 127).astype(int).tolist()
    assert sum(bits[:-1]) % 2 == bits[-1]
    word = sum(bit << place for place, bit in enumerate(bits[:-1]))
    return word // 2, word % 2


def assert_shows(answer: Answer, frame: int, view: str) -> None:
    assert (answer.frame, answer.view) == (frame, view)
    assert answer.jpeg is not None, answer
    picture = np.asarray(Image.open(io.BytesIO(answer.jpeg)))
    views = (0, 1) if view == JOINED else (VIEWS.index(view),)
    assert picture.shape == (HEIGHT, WIDTH * len(views), 3)
    for place, which in enumerate(views):
        part = picture[:, place * WIDTH : (place + 1) * WIDTH]
        assert spelt(part) == (frame, which)


# ------------------------------------------------------------------ a page, and videos


class Page:
    """Asks, and sees to it that each want is answered once."""

    def __init__(self) -> None:
        self._servers: list[FrameServer] = []
        self._answers: list[list[Answer]] = []
        self.order: list[int] = []

    def open(self, *args: object, **kwargs: object) -> FrameServer:
        return self.adopt(FrameServer(*args, **kwargs))

    def adopt(self, server: FrameServer) -> FrameServer:
        self.server = server
        self._servers.append(server)
        return server

    def ask(
        self, frame: int, view: str = JOINED, *, direction: int = 0, urgent: bool = True
    ) -> Future[Answer]:
        future: Future[Answer] = Future()
        answers: list[Answer] = []
        self._answers.append(answers)

        def reply(answer: Answer) -> None:
            answers.append(answer)
            self.order.append(frame)
            if len(answers) == 1:
                future.set_result(answer)

        self.server.want(frame, view, direction=direction, urgent=urgent, reply=reply)
        return future

    def get(self, *args: object, **kwargs: object) -> Answer:
        return self.ask(*args, **kwargs).result(PATIENCE)

    def close(self) -> None:
        for server in self._servers:
            server.close(wait=True)
        assert all(len(answers) == 1 for answers in self._answers)


class Pictures(FrameSource):
    """Two views that are drawn when they are read, at the pace of the test if it likes.

    Between ``hold()`` and ``release()``, each read waits for one ``let()``.
    """

    def __init__(self, n_frames: int = 2000, damaged: frozenset[int] = frozenset()) -> None:
        info = VideoInfo("none.mp4", n_frames, 30.0, HEIGHT, WIDTH, "h264", "", "", 0, 0)
        super().__init__([info, info], n_frames)
        self.damaged = damaged
        self.reads: list[range] = []
        self.begun: queue.SimpleQueue[range] = queue.SimpleQueue()
        self._held = False
        self._go = threading.Semaphore(0)

    @property
    def frames(self) -> set[int]:
        return {frame for read in self.reads for frame in read}

    @property
    def seeks(self) -> int:
        ends = [None, *(read.stop for read in self.reads)]
        return sum(read.start != end for read, end in zip(self.reads, ends, strict=False))

    def hold(self) -> None:
        self._held = True

    def let(self) -> None:
        self._go.release()

    def release(self) -> None:
        self._held = False
        self._go.release(100)

    def next_begun(self) -> range:
        return self.begun.get(timeout=PATIENCE)

    def read(self, start: int, stop: int) -> np.ndarray:
        self.reads.append(range(start, stop))
        self.begun.put(range(start, stop))
        if self._held:
            assert self._go.acquire(timeout=PATIENCE)
        if self.damaged & set(range(start, stop)):
            raise VideoError("none.mp4: expected frames, but it is damaged. Copy it again.")
        return np.stack(
            [
                np.concatenate([drawn(frame, view) for view in range(len(VIEWS))], axis=1)
                for frame in range(start, stop)
            ]
        )


class Clock:
    """A clock that stands still, and knows how often the server's thread has looked at it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._mine = threading.get_ident()
        self._looks: queue.SimpleQueue[None] = queue.SimpleQueue()

    def __call__(self) -> float:
        if threading.get_ident() != self._mine:
            self._looks.put(None)
        return self.now

    def settle(self, page: Page, held: int) -> None:
        """Give the server occasions to read on, by asking for a frame that it holds."""
        for _ in range(10):
            while not self._looks.empty():
                self._looks.get()
            page.get(held, urgent=False)
            self._looks.get(timeout=PATIENCE)


@pytest.fixture
def page() -> Iterator[Page]:
    page = Page()
    yield page
    page.close()


@pytest.fixture
def pictures(page: Page) -> Iterator[Pictures]:
    source = Pictures()
    page.open(lambda: source, VIEWS, 2000)
    yield source
    source.release()


# ------------------------------------------------------------------ frame shown = frame named

N_FRAMES = 240
X264 = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-preset", "fast"]
FILMS = {
    "b_frames.mp4": [*X264, "-g", "100", "-bf", "3"],
    "variable_rate.mp4": [
        *["-vf", "setpts='(N+3*floor(N/7)+2*mod(N,2)/3)/(30*TB)'", "-fps_mode", "vfr"],
        *[*X264, "-g", "50"],
    ],
    "one_key.mkv": [*X264, "-g", "1000"],
    "no_times.avi": X264,
}


@pytest.fixture(scope="module")
def source_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], FrameSource]:
    """Both views of a trial as videos of one of the kinds above."""
    folder = tmp_path_factory.mktemp("films")

    @cache
    def infos(name: str) -> list[VideoInfo]:
        paths = [folder / f"{view}_{name}" for view in VIEWS]
        for view, path in enumerate(paths):
            if not path.exists():
                film = np.stack([drawn(frame, view) for frame in range(N_FRAMES)])
                raw = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", "30"]
                command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *raw, "-i", "-"]
                subprocess.run([*command, *FILMS[name], path], input=film.tobytes(), check=True)
        return [probe(path) for path in paths]

    return lambda name: FrameSource(infos(name), N_FRAMES)


@pytest.fixture
def running() -> Callable[[], list[psutil.Process]]:
    close_all()
    until(lambda: not ffmpegs(), PATIENCE)
    return ffmpegs


def test_the_films_are_what_they_are_called(source_of):
    for name in FILMS:
        assert [info.n_frames for info in source_of(name).infos] == [N_FRAMES] * 2
    assert not source_of("no_times.avi").infos[0].seekable
    constant, variable = (
        np.unique(np.diff(_times(source_of(name)))).size
        for name in ("b_frames.mp4", "variable_rate.mp4")
    )
    assert constant == 1
    assert variable > 1


def _times(source: FrameSource) -> np.ndarray:
    from soupxr.video.timeline import Timeline

    return Timeline.unpack(source.infos[0].timeline).frames


wants = st.tuples(
    st.integers(0, N_FRAMES - 1) | st.sampled_from([0, 49, 50, 51, 99, 100, 101, N_FRAMES - 1]),
    st.sampled_from([JOINED, *VIEWS]),
    st.sampled_from([-1, 0, 1]),
    st.booleans(),
)
walks = st.tuples(wants, st.integers(1, 30), st.sampled_from([-10, -1, 1, 2]))


SOME = ["b_frames.mp4", "variable_rate.mp4"]
OTHERS = [name for name in FILMS if name not in SOME]
WITH_SLOW = [*SOME, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]


@pytest.mark.parametrize("name", WITH_SLOW)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(asked=st.lists(walks, min_size=1, max_size=3))
def test_any_wants_show_the_frames_they_name(name, source_of, page, asked):
    """Jumps, each followed by steps; the cache is so small that frames are read again."""
    server = page.open(lambda: source_of(name), VIEWS, N_FRAMES, cache_bytes=60_000)
    for (start, view, direction, urgent), steps, stride in asked:
        for frame in range(start, start + steps * stride, stride):
            frame = min(max(frame, 0), N_FRAMES - 1)
            assert_shows(page.get(frame, view, direction=direction, urgent=urgent), frame, view)
    server.close(wait=True)


@pytest.mark.parametrize("name", WITH_SLOW)
def test_wants_from_several_threads_show_the_frames_they_name(name, source_of, page):
    page.open(lambda: source_of(name), VIEWS, N_FRAMES)

    def insist(want: Callable[[], Future[Answer]]) -> Future[Answer]:
        """Ask until it is not dropped for what the others want."""
        deadline = time.monotonic() + PATIENCE
        while (future := want()).result(PATIENCE).dropped:
            assert time.monotonic() < deadline
        return future

    def wander(seed: int) -> list[tuple[int, str, Future[Answer]]]:
        choose, frame, asked = random.Random(seed), 0, []
        for _ in range(40):
            jump = choose.random() < 0.1
            frame = choose.randrange(N_FRAMES) if jump else frame + choose.choice([-1, 1, 1, 3])
            frame = min(max(frame, 0), N_FRAMES - 1)
            view, urgent = choose.choice([JOINED, *VIEWS]), choose.random() < 0.5
            want = partial(
                page.ask, frame, view, direction=choose.choice([-1, 0, 1]), urgent=urgent
            )
            asked.append((frame, view, insist(want) if choose.random() < 0.5 else want()))
        return asked

    with ThreadPoolExecutor(3) as executor:
        asked = [one for some in executor.map(wander, range(3)) for one in some]
    answers = [(frame, view, future.result(PATIENCE)) for frame, view, future in asked]
    for frame, view, answer in answers:
        if not answer.dropped:
            assert_shows(answer, frame, view)


def test_the_last_frame_that_was_wanted_is_always_shown(source_of, page):
    """However fast somebody drags."""
    page.open(lambda: source_of("b_frames.mp4"), VIEWS, N_FRAMES)
    futures = [page.ask(frame) for frame in range(N_FRAMES - 1, -1, -2)]
    assert_shows(futures[-1].result(PATIENCE), 1, JOINED)
    for future in futures[:-1]:
        answer = future.result(PATIENCE)
        if not answer.dropped:
            assert_shows(answer, answer.frame, JOINED)


# ------------------------------------------------------------------ who is served, and when


def test_the_videos_are_opened_while_the_page_is_drawn(page):
    gate, source = threading.Event(), Pictures()

    def open_slowly() -> FrameSource:
        assert gate.wait(PATIENCE)
        return source

    page.open(open_slowly, VIEWS, 2000)
    future = page.ask(7)
    assert not future.done()
    gate.set()
    assert_shows(future.result(PATIENCE), 7, JOINED)


def test_the_latest_urgent_want_wins(page, pictures):
    pictures.hold()
    begun = page.ask(100)
    pictures.next_begun()
    passed = [page.ask(frame) for frame in (500, 900, 1300)]
    latest = page.ask(1700)
    assert all(future.result(PATIENCE).dropped for future in passed)
    assert not latest.done()
    pictures.release()
    assert_shows(begun.result(PATIENCE), 100, JOINED)
    assert_shows(latest.result(PATIENCE), 1700, JOINED)
    page.server.close(wait=True)
    assert not pictures.frames & {500, 900, 1300}


def test_a_frame_that_is_held_also_wins(page, pictures):
    page.get(10)
    pictures.hold()
    page.ask(500)
    pictures.next_begun()
    passed = page.ask(900)
    assert_shows(page.get(10), 10, JOINED)
    assert passed.result(PATIENCE).dropped


def test_prefetches_come_after_the_urgent_want_and_in_order(page, pictures):
    pictures.hold()
    page.ask(100)
    pictures.next_begun()
    asked = {frame: page.ask(frame, urgent=False) for frame in (141, 182, 143)}
    asked[200] = page.ask(200)
    pictures.release()
    for frame, future in asked.items():
        assert_shows(future.result(PATIENCE), frame, JOINED)
    assert page.order == [100, 200, 141, 182, 143]


def test_prefetches_are_dropped_when_the_page_jumps_elsewhere(page, pictures):
    pictures.hold()
    page.ask(100)
    pictures.next_begun()
    gone = [page.ask(frame, urgent=False) for frame in (101, 102, 103)]
    kept = page.ask(1510, urgent=False)
    jump = page.ask(1500)
    assert all(future.result(PATIENCE).dropped for future in gone)
    pictures.release()
    assert_shows(jump.result(PATIENCE), 1500, JOINED)
    assert_shows(kept.result(PATIENCE), 1510, JOINED)
    page.server.close(wait=True)
    assert 103 not in pictures.frames


def test_a_page_cannot_queue_without_end(page, pictures):
    pictures.hold()
    page.ask(0)
    pictures.next_begun()
    asked = [page.ask(frame, urgent=False) for frame in range(1000)]
    assert sum(future.done() and future.result().dropped for future in asked) > 950
    assert not page.ask(1).done()  # what is to be on screen always has a place
    pictures.release()


def test_one_read_serves_every_view(page, pictures):
    pictures.hold()
    first = page.ask(100)
    pictures.next_begun()
    asked = {view: page.ask(100, view, urgent=False) for view in VIEWS}
    pictures.release()
    assert_shows(first.result(PATIENCE), 100, JOINED)
    for view, future in asked.items():
        assert_shows(future.result(PATIENCE), 100, view)
    page.server.close(wait=True)
    assert sum(100 in read for read in pictures.reads) == 1


def test_another_view_of_the_frame_on_screen_needs_no_reading(page, pictures):
    for view in (JOINED, *VIEWS):
        assert_shows(page.get(100, view), 100, view)
    page.server.close(wait=True)
    assert sum(100 in read for read in pictures.reads) == 1


def test_a_reply_that_raises_leaves_the_others_alone(page, pictures, caplog):
    answered = threading.Event()

    def stumble(answer: Answer) -> None:
        answered.set()
        raise ZeroDivisionError

    page.server.want(5, JOINED, urgent=True, reply=stumble)
    assert answered.wait(PATIENCE)
    assert_shows(page.get(900), 900, JOINED)
    assert "could not be delivered" in caplog.text


# ------------------------------------------------------------------ reading ahead


@pytest.mark.parametrize(("frame", "direction"), [(500, 1), (500, -1), (1990, 1), (3, -1)])
def test_reading_ahead_is_bounded(page, frame, direction):
    source, clock = Pictures(), Clock()
    page.open(lambda: source, VIEWS, 2000, clock=clock)
    page.get(frame, direction=direction)
    clock.settle(page, held=frame)
    page.server.close(wait=True)
    ahead = {direction * (other - frame) for other in source.frames}
    assert max(ahead) <= 64
    if frame == 500:
        assert set(range(1, 31)) <= ahead
    assert min(ahead) > -16


def test_little_is_read_around_a_frame_that_is_looked_at(page):
    source, clock = Pictures(), Clock()
    page.open(lambda: source, VIEWS, 2000, clock=clock)
    page.get(500)
    clock.settle(page, held=500)
    page.server.close(wait=True)
    assert set(range(497, 504)) <= source.frames <= set(range(485, 517))


def test_reading_ahead_ends_with_the_playing(page):
    source, clock = Pictures(), Clock()
    source.hold()
    page.open(lambda: source, VIEWS, 2000, clock=clock)
    shown = page.ask(500, direction=1)
    source.let()
    shown.result(PATIENCE)
    source.next_begun()
    ahead = source.next_begun()
    clock.now = 5.0
    source.release()
    clock.settle(page, held=500)
    page.server.close(wait=True)
    assert source.reads == [range(485, 501), ahead]


def test_reading_ahead_gives_way_to_who_waits(page, pictures):
    pictures.hold()
    shown = page.ask(500, direction=1)
    pictures.let()
    shown.result(PATIENCE)
    assert 500 in pictures.next_begun()
    assert 501 in pictures.next_begun()
    jump = page.ask(1500)
    pictures.let()
    assert pictures.next_begun() == range(1485, 1501)
    pictures.release()
    assert_shows(jump.result(PATIENCE), 1500, JOINED)


def test_what_is_played_is_read_once_and_without_a_seek(page, pictures):
    for frame in range(300, 500):
        assert_shows(page.get(frame, direction=1, urgent=frame % 3 == 0), frame, JOINED)
    page.server.close(wait=True)
    assert pictures.seeks == 1
    assert sum(map(len, pictures.reads)) <= 200 + 64 + 16


@pytest.mark.parametrize("direction", [0, -1])
def test_going_back_seeks_once_a_block(page, pictures, direction):
    """Frame after frame, whether played or stepped."""
    for frame in range(1000, 800, -1):
        assert_shows(page.get(frame, direction=direction), frame, JOINED)
    page.server.close(wait=True)
    assert pictures.seeks <= 200 // 16 + 3
    assert sum(map(len, pictures.reads)) <= 200 + 64 + 32


@pytest.mark.parametrize("direction", [0, -1])
def test_prefetches_on_the_way_back_do_not_seek_each(page, monkeypatch, direction):
    """Where frames are so large that few are read at once."""
    monkeypatch.setattr("soupxr.dashboard.decoding.PIECE_FRAMES", 2)
    source = Pictures()
    page.open(lambda: source, VIEWS, 2000)
    asked = [page.ask(frame, direction=direction, urgent=False) for frame in (1000, 999, 998)]
    for frame in range(1000, 800, -1):
        assert_shows(page.get(frame, direction=direction), frame, JOINED)
        asked.append(page.ask(frame - 3, direction=direction, urgent=False))
    for future in asked:
        assert not future.result(PATIENCE).dropped
    page.server.close(wait=True)
    assert source.seeks <= 200 // 32 + 6


def test_frames_that_the_playing_has_passed_are_not_kept(page, pictures):
    """Where it outruns the reading, what nobody will see is not worth encoding."""
    pictures.hold()
    shown = page.ask(500, direction=1)
    pictures.let()
    shown.result(PATIENCE)
    while 510 not in pictures.next_begun():
        pass
    late = page.ask(510, direction=1)
    pictures.let()
    assert_shows(late.result(PATIENCE), 510, JOINED)
    while 517 not in pictures.next_begun():
        pass
    assert page.ask(511, urgent=False).done()
    assert not page.ask(505, urgent=False).done()
    pictures.release()


# ------------------------------------------------------------------ the cache


def test_a_frame_that_is_held_is_not_read_again(page, pictures):
    page.get(100)
    page.get(1000)
    page.get(100)
    page.server.close(wait=True)
    assert sum(100 in read for read in pictures.reads) == 1


@pytest.mark.parametrize("pace", [0, 1], ids=["stepped", "played"])
def test_the_cache_keeps_within_its_bound(page, pace):
    source = Pictures()
    one = len(to_jpeg(source.read(0, 1)[0], 1600))
    source.reads.clear()
    server = page.open(lambda: source, VIEWS, 2000, cache_bytes=20 * one)
    for way in (range(300), range(300, 0, -1)):
        for frame in way:
            assert_shows(page.get(frame, direction=pace * way.step), frame, JOINED)
            assert server.bytes_held <= 20 * one
    server.close(wait=True)
    assert sum(map(len, source.reads)) < 650  # reading ahead does not push itself out
    assert server.bytes_held == 0


def test_a_picture_larger_than_the_cache_is_shown_all_the_same(page):
    page.open(Pictures, VIEWS, 2000, cache_bytes=10)
    for frame in (5, 6, 5):
        assert_shows(page.get(frame, direction=1), frame, JOINED)
    assert page.server.bytes_held == 0


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(1, 9)), max_size=40),
    st.integers(0, 20),
)
def test_the_cache_is_a_mapping_that_forgets_what_was_used_longest_ago(acts, bound):
    cache, model = JpegCache(bound), OrderedDict()
    for put, frame, size in acts:
        if put:
            cache.put((frame, JOINED), bytes(size))
            model.pop(frame, None)
            model[frame] = bytes(size)
            while sum(map(len, model.values())) > bound:
                model.popitem(last=False)
        else:
            assert cache.get((frame, JOINED)) == model.get(frame)
            if frame in model:
                model.move_to_end(frame)
        assert cache.n_bytes == sum(map(len, model.values()))
        assert [frame for frame in range(7) if (frame, JOINED) in cache] == sorted(model)


# ------------------------------------------------------------------ what goes wrong


@pytest.mark.parametrize("how", ["gone", "cut short", "no video"])
def test_a_broken_video_is_reported_with_its_error(page, new_store, how):
    ds = new_store("M1/S1/1", "M1/S1/2")
    store = store_of(ds)
    (path,) = data_root(store).rglob("*side_v001.mp4")
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:700] if how == "cut short" else b"no video at all")
    with pytest.raises(VideoError) as raised:
        ds.sel(animal="M1", session="S1", trial_id=1).soup.video()
    page.adopt(serve_trial(store, store.trial("M1/S1/1")))
    for frame, urgent in ((0, True), (5, False), (5, True)):
        answer = page.get(frame, urgent=urgent)
        assert answer.error == str(raised.value)
        assert answer.jpeg is None
    page.adopt(serve_trial(store, store.trial("M1/S1/2")))
    assert page.get(3).jpeg is not None


def test_a_frame_that_cannot_be_read_is_an_error_for_this_frame_alone(page):
    source = Pictures(damaged=frozenset({1037, 1040}))
    page.open(lambda: source, VIEWS, 2000)
    for frame in [*range(1030, 1050), *range(1049, 1029, -1)]:
        answer = page.get(frame)
        if frame in source.damaged:
            assert answer.error == "none.mp4: expected frames, but it is damaged. Copy it again."
        else:
            assert_shows(answer, frame, JOINED)
    page.server.close(wait=True)
    tried = [read for read in source.reads if source.damaged & set(read)]
    assert len(tried) < 12  # neither one by one nor for ever


@pytest.mark.parametrize(
    ("frame", "direction", "damaged"), [(1030, 1, 1040), (1050, -1, 1040), (1050, -1, 990)]
)
def test_reading_ahead_ends_before_what_cannot_be_read(page, frame, direction, damaged):
    source, clock = Pictures(damaged=frozenset({damaged})), Clock()
    page.open(lambda: source, VIEWS, 2000, clock=clock)
    page.get(frame, direction=direction)
    clock.settle(page, held=frame)
    page.server.close(wait=True)
    assert len(source.reads) < 8


def test_a_fault_of_ours_is_told_and_logged(page, caplog):
    def stumble() -> FrameSource:
        raise ZeroDivisionError("of all things")

    page.open(stumble, VIEWS, 2000)
    assert page.get(3).error == "ZeroDivisionError: of all things"
    assert page.get(4, urgent=False).error == "ZeroDivisionError: of all things"
    assert "frames can no longer be shown" in caplog.text


@pytest.mark.parametrize(
    ("frame", "view", "error"),
    [
        (-1, JOINED, "frame: expected a number from 0 to 1999, but got -1"),
        (2000, JOINED, "frame: expected a number from 0 to 1999, but got 2000"),
        (0, "top", "view: expected one of ['joined', 'side', 'front'], but got 'top'"),
    ],
)
def test_what_is_not_there_is_an_error(page, pictures, frame, view, error):
    answer = page.get(frame, view)
    assert error in answer.error
    assert not pictures.reads


# ------------------------------------------------------------------ the end


def test_closing_drops_all_wants_though_one_is_being_read(page, pictures):
    pictures.hold()
    page.ask(100)
    pictures.next_begun()
    asked = [page.ask(900), page.ask(101, urgent=False)]
    page.server.close()
    page.server.close()
    assert all(future.result(0).dropped for future in asked)
    assert page.ask(100).result(0).dropped
    pictures.release()
    page.server.close(wait=True)
    assert pictures.reads == [range(85, 101)]


def test_a_server_can_be_closed_before_its_videos_are_open(page):
    gate, source = threading.Event(), Pictures()
    page.open(lambda: gate.wait(PATIENCE) and source, VIEWS, 2000)
    future = page.ask(0)
    page.server.close()
    assert future.result(0).dropped
    gate.set()
    page.server.close(wait=True)
    assert not source.reads


def test_a_reply_may_close_the_server(page, pictures):
    closed = threading.Event()
    server = page.server

    def close(answer: Answer) -> None:
        server.close(wait=True)
        closed.set()

    server.want(3, JOINED, urgent=True, reply=close)
    assert closed.wait(PATIENCE)


@pytest.mark.parametrize("name", SOME)
def test_nothing_is_left_running(name, source_of, page, running):
    server = page.open(lambda: source_of(name), VIEWS, N_FRAMES)
    for frame in (200, 100, 101, 50, 220, 219, 3):
        assert_shows(page.get(frame), frame, JOINED)
    assert running()
    server.close(wait=True)
    assert not running()
    assert len(this_process()) == 0
    assert not [t for t in threading.enumerate() if t.name.startswith("soupxr-frames")]


def test_nothing_is_left_running_where_a_decode_is_cut_off(source_of, page, running):
    for frame in (200, 3):
        source = source_of("b_frames.mp4")
        server = page.open(lambda source=source: source, VIEWS, N_FRAMES)
        page.ask(frame, direction=1)
        server.close(wait=True)
        assert not running()


# ------------------------------------------------------------------ pictures


@pytest.mark.parametrize(
    ("width", "shown"), [(704, 704), (1600, 1600), (1700, 1600), (2656, 1328), (3200, 1600)]
)
def test_wide_pictures_are_made_smaller_by_averaging(width, shown):
    stripes = np.zeros((200, width, 3), np.uint8)
    stripes[:, ::2] = 200
    picture = np.asarray(Image.open(io.BytesIO(to_jpeg(stripes, 1600))))
    assert picture.shape == (round(200 * shown / width), shown, 3)
    assert abs(picture.mean() - 100) < 3
    if shown < width:
        assert np.abs(picture.astype(int) - 100).mean() < 50  # 100 as they are


def test_shorter_views_are_cut_without_the_black_below_them(page, new_store):
    ds = new_store("M1/S1/1", join="pad")
    (short,) = data_root(store_of(ds)).rglob("*front_v001.mp4")
    cut = short.with_name("cut.mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", short]
    subprocess.run([*command, "-vf", "crop=40:24", cut], check=True)
    cut.replace(short)
    page.adopt(serve_trial(store_of(ds), store_of(ds).trial("M1/S1/1")))
    sizes = {view: Image.open(io.BytesIO(page.get(4, view).jpeg)).size for view in (JOINED, *VIEWS)}
    assert sizes == {JOINED: (88, 32), "side": (48, 32), "front": (40, 24)}
