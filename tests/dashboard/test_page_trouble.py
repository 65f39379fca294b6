"""What a page does where things go wrong, and with much of everything; labels come from disk."""

from __future__ import annotations

import errno
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import numpy as np
import pytest
from pages import PATIENCE_MS, Tab, labels_of, until
from zarr.storage import LocalStore

import soupxr as sx
from soupxr.bouts import mask_to_bouts
from soupxr.ingest import TrialRow
from soupxr.modes import BEHAVIORS
from soupxr.store import add_trials

pytestmark = pytest.mark.browser

KEY, SECOND = "M1/S1/1", "M1/S1/2"
N_FRAMES = 60
SAVED = re.compile(r"\bSaved\b")

#: Serves the labels of "me". Without Linux's right to pass over permissions where it has that.
SERVE = """
import ctypes, os, sys
if "drop" in sys.argv:
    sys.argv.remove("drop")
    ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)  # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE
    os.execv(sys.executable, [sys.executable, "-c", os.environ["SERVE"], *sys.argv[1:]])
import soupxr as sx
viewer = sx.open(sys.argv[1]).soup.clean_ethograms("fast", annotator="me")
server = viewer.show(int(sys.argv[2]), open_browser=False, wait=False)
print(server.url, flush=True)
sys.stdin.read()
server.stop()
"""
#: Commits a result of a trial, as inference would.
COMMIT = """
import sys
import numpy as np, soupxr as sx
from results import put_result
put_result(sx.open(sys.argv[1]), sys.argv[2], np.full((60, 6), 0.9, np.float32), mode=sys.argv[3])
"""


class Elsewhere:
    """A viewer and its server in a process of its own, that a test may kill.

    ``show()`` starts it, and returns it; ``url`` and ``stop()`` are those of a server.
    """

    def __init__(self, ds: Any, *options: str) -> None:
        self._address, self._options = ds.attrs["soupxr_store"], options

    def show(self, port: int = 0, **_: object) -> Elsewhere:
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, self._address, str(port), *self._options],
            env=os.environ | {"SERVE": SERVE},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.process.communicate()[1]
        return self

    @property
    def port(self) -> int:
        return int(self.url.rstrip("/").rpartition(":")[2])

    def stop(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        _, told = self.process.communicate()
        assert "Traceback" not in told, told


def is_on_disk(ds: Any, wanted: np.ndarray, annotator: str = "me", key: str = KEY) -> bool:
    return np.array_equal(labels_of(ds, key, annotator=annotator), wanted)


def with_lift(mask: np.ndarray, start: int, stop: int, value: int = 1) -> np.ndarray:
    changed = mask.copy()
    changed[start:stop, 0] = value
    return changed


def edit_first(tab: Tab, ds: Any) -> np.ndarray:
    """Mark lift in frames 40 to 50; labels of mode fast with that, which are on disk then."""
    tab.select(40, 50)
    tab.edit("1")
    wanted = with_lift(labels_of(ds, KEY, mode="fast"), 40, 50)
    assert is_on_disk(ds, wanted)
    return wanted


# -------------------------------------------------------------------- two tabs


def test_of_two_tabs_the_second_to_save_is_told_and_can_reload(judged, served):
    viewer = judged.soup.clean_ethograms("fast", annotator="me")
    with served(viewer) as first:
        second = first.twin()
        theirs = edit_first(first, judged)
        second.select(2, 4)
        second.press("1")
        second.get("saved", state="conflict").wait_for()
        assert "me has saved other labels" in second.text("conflict")
        assert is_on_disk(judged, theirs)
        second.get("conflict-reload").click()
        second.get("conflict").wait_for(state="hidden")
        until(lambda: np.array_equal(viewer.ethogram, theirs))
        second.go(30)
        second.press("]")
        second.wait_frame(40)  # where the first tab's bout begins
        second.select(2, 4)
        second.edit("1")
        assert is_on_disk(judged, with_lift(theirs, 2, 4))


def test_labels_in_conflict_can_be_saved_as_those_of_another(judged, served):
    with served(judged.soup.clean_ethograms("fast", annotator="me")) as first:
        second = first.twin()
        theirs = edit_first(first, judged)
        mine = with_lift(labels_of(judged, KEY, mode="fast"), 2, 4)
        second.select(2, 4)
        second.press("1")
        _save_as(second, "Ana")  # who has labelled this trial
        second.get("conflict").filter(has_text="Ana has labelled").wait_for()
        hers = labels_of(judged, KEY, annotator="Ana")
        _save_as(second, "Ben")
        second.get("saved", state="saved").filter(has_text="as Ben").wait_for()
        assert is_on_disk(judged, mine, "Ben")
        second.edit("2")
        assert is_on_disk(judged, with_lift(mine, 2, 4, 0), "Ben")
        assert is_on_disk(judged, hers, "Ana")
        assert is_on_disk(judged, theirs)
        first.edit("2")  # nobody but this tab has changed these
        assert is_on_disk(judged, with_lift(theirs, 40, 50, 0))


def _save_as(tab: Tab, annotator: str) -> None:
    tab.get("saved", state="conflict").wait_for()
    tab.get("conflict-save-as").click()
    tab.get("conflict-name").fill(annotator)
    tab.press("Enter")


# -------------------------------------------------------------------- the server


def test_a_killed_server_blocks_the_page_and_a_new_one_brings_it_back(judged, served):
    elsewhere = Elsewhere(judged)
    with served(elsewhere) as tab:
        tab.forgive("WebSocket")  # Bokeh may try to connect again
        wanted = edit_first(tab, judged)
        version = tab.version
        elsewhere.process.send_signal(signal.SIGKILL)
        elsewhere.process.communicate()
        tab.get("banner").wait_for()
        assert "Connection to soupxr lost" in tab.text("banner")
        tab.press("2", "t", "Control+z")
        tab.drag(tab.at(10, 1), tab.at(20, 1))
        assert (tab.data("region"), tab.data("current")) == ("40-50", "0")
        assert tab.version == version
        # Nor does the line that is read to those who cannot see it.
        until(lambda: tab.page.get_by_text(SAVED).count() == 0)
        assert is_on_disk(judged, wanted)
        elsewhere.show(elsewhere.port)
        tab.get("reload-page").click()
        tab.get("banner").wait_for(state="hidden")
        tab.wait_trial(KEY)
        tab.go(30)
        tab.press("]")
        tab.wait_frame(40)
        tab.select(2, 4)
        tab.edit("1")
        assert is_on_disk(judged, with_lift(wanted, 2, 4))


@pytest.mark.thorough
def test_a_server_that_hangs_is_noticed_and_so_is_its_return(judged, served):
    elsewhere = Elsewhere(judged)
    with served(elsewhere) as tab:
        wanted = edit_first(tab, judged)
        version = tab.version
        elsewhere.process.send_signal(signal.SIGSTOP)
        tab.get("banner").wait_for()
        tab.press("2")
        until(lambda: tab.page.get_by_text(SAVED).count() == 0)
        elsewhere.process.send_signal(signal.SIGCONT)
        tab.get("banner").wait_for(state="hidden")
        tab.get("saved", state="saved").wait_for()
        assert tab.version == version
        tab.edit("3")
        assert is_on_disk(judged, with_lift(wanted, 40, 50, -1))


# -------------------------------------------------------------------- videos


def _broken(film: Path) -> None:
    film.write_bytes(b"this is no video" * 100)


def _truncated(film: Path) -> None:
    """The header says all, but the second half is not there."""
    whole = film.with_name("whole.mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(film), "-c", "copy"]
    subprocess.run([*command, "-movflags", "+faststart", str(whole)], check=True)
    film.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])


@pytest.mark.parametrize("spoil", [_broken, Path.unlink, _truncated])
def test_a_trial_without_its_video_is_labelled_all_the_same(judged, served, tmp_path, spoil):
    film = tmp_path / "videos" / "M1" / "S1" / "reach_front_v001.mp4"
    spoil(film)
    with served(judged.soup.clean_ethograms("fast", annotator="me")) as tab:
        tab.press("End")
        tab.get("jump").fill("55")
        tab.press("Enter")
        tab.get("trouble").wait_for()
        assert "cannot be shown" in tab.text("trouble")
        assert film.name in tab.text("trouble")
        edit_first(tab, judged)
        tab.press("n")
        tab.wait_trial(SECOND)
        tab.wait_frame(0)
        assert not tab.get("trouble").is_visible()
        assert tab.spelt() == [[0, 0], [0, 1]]
        tab.select(40, 50)
        tab.edit("1")
        wanted = with_lift(labels_of(judged, SECOND, mode="fast"), 40, 50)
        assert is_on_disk(judged, wanted, key=SECOND)


# -------------------------------------------------------------------- the disk


@pytest.fixture
def protect(judged) -> Iterator[Any]:
    """Take away, or give back, the right to write in the store and to make its lock."""
    root = Path(judged.attrs["soupxr_store"])

    def protect(shut: bool = True) -> None:
        for path in [root.parent, *root.parent.glob(".*.lock"), root, *root.rglob("*")]:
            mode = path.stat().st_mode
            path.chmod(mode & ~0o222 if shut else mode | stat.S_IWUSR)

    yield protect
    protect(False)


def as_others_would(ds: Any) -> Elsewhere:
    """A server that permissions bind, even where the tests run as root."""
    drops = sys.platform == "linux" and os.geteuid() == 0
    return Elsewhere(ds, *["drop"] * drops)


def test_a_store_that_is_read_only_is_said_to_be_up_front(judged, served, protect):
    before = sorted(Path(judged.attrs["soupxr_store"]).rglob("*"))
    protect()
    with served(as_others_would(judged)) as tab:
        tab.get("saved", state="read-only").wait_for()
        assert "can be read but not written" in tab.text("saved")
        tab.select(40, 50)
        tab.press("1", "2", "r", "y")
        tab.press("s")
        tab.wait(current=1)  # which was handled after all of them
        assert (tab.version, tab.get("saved").get_attribute("data-state")) == (0, "read-only")
        assert tab.spelt() == [[40, 0], [40, 1]]
        tab.press("n")
        tab.wait_trial(SECOND)
        tab.get("saved", state="read-only").wait_for()
    assert sorted(Path(judged.attrs["soupxr_store"]).rglob("*")) == before


def test_a_store_may_become_read_only_and_be_opened_again(judged, served, protect):
    with served(as_others_would(judged)) as tab:
        wanted = edit_first(tab, judged)
        protect()
        tab.press("2")
        tab.get("saved", state="read-only").wait_for()
        assert is_on_disk(judged, wanted)
        protect(False)
        tab.get("saved", state="saved").wait_for()
        assert is_on_disk(judged, with_lift(wanted, 40, 50, 0))


def test_edits_are_kept_while_the_disk_is_full(judged, served, monkeypatch):
    is_full = True
    put = LocalStore.set

    async def full(store: LocalStore, key: str, value: Any) -> None:
        if is_full and "annotation/" in key:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        await put(store, key, value)

    monkeypatch.setattr(LocalStore, "set", full)
    viewer = judged.soup.clean_ethograms("fast", annotator="me")
    with served(viewer) as tab:
        wanted = labels_of(judged, KEY, mode="fast")
        tab.select(40, 50)
        tab.press("1")
        tab.get("saved", state="failed").wait_for()
        assert "the disk is full" in tab.text("saved")
        assert "me" not in sx.open(judged.attrs["soupxr_store"]).annotator
        asked = []
        tab.page.once("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
        with tab.page.expect_event("dialog", timeout=PATIENCE_MS):
            tab.page.evaluate("void setTimeout(() => location.reload())")
        assert asked == ["beforeunload"]
        tab.press("n")
        tab.wait_trial(SECOND)
        tab.press("p")
        tab.wait_trial(KEY)
        until(lambda: np.array_equal(viewer.ethogram, with_lift(wanted, 40, 50)))
        tab.select(2, 4)
        version = tab.version
        tab.press("1")
        tab.wait(version=version + 1)
        is_full = False
        tab.get("saved", state="saved").wait_for()
        assert is_on_disk(judged, with_lift(with_lift(wanted, 40, 50), 2, 4))


# -------------------------------------------------------------------- much of everything


@pytest.mark.slow
@pytest.mark.thorough
def test_a_trial_of_100_000_frames(tmp_path, numbered_film, served):
    n_frames = 100_020
    for place, view in enumerate(("side", "front")):
        short = numbered_film(tmp_path / f"{view}.mp4", N_FRAMES, place)
        film = tmp_path / "videos" / "M1" / "S1" / f"reach_{view}_v001.mp4"
        film.parent.mkdir(parents=True, exist_ok=True)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-stream_loop", "1666"]
        subprocess.run([*command, "-i", str(short), "-c", "copy", str(film)], check=True)
    ds = sx.create(tmp_path / "reach.zarr", data_root=tmp_path / "videos").soup.add_item("M1")
    assert int(ds.n_frames[0]) == n_frames
    labels = np.zeros((n_frames, len(BEHAVIORS)), np.int8)
    labels[np.arange(n_frames) % 20 < 8] = 1
    ds.soup.annotate(labels, annotator="me")
    with served(ds.soup.manual_ethograms("me")) as tab:
        tab.select(50_001, 50_011)
        assert tab.spelt() == [[50_001 % 60, 0], [50_001 % 60, 1]]
        tab.edit("2")
        wanted = with_lift(labels, 50_001, 50_011, 0)
        assert is_on_disk(ds, wanted)
        tab.edit("t")
        assert is_on_disk(ds, labels)
        tab.edit("Control+z")
        assert is_on_disk(ds, wanted)
        for _ in range(20):
            tab.get("zoom-in").click()
        until(lambda: _span(tab) < 100)
        tab.click(tab.at(50_005.5, lane=1))  # a bout that is too short to be hit in the whole
        tab.wait_frame(50_005)
        tab.click(tab.at(50_005.5, lane=1), count=2)
        tab.wait(region="50000-50008", current=1)
        tab.get("zoom-whole").click()
        assert (tab.geometry()["start"], tab.geometry()["stop"]) == (0, n_frames)
        assert len(mask_to_bouts(labels_of(ds, KEY, annotator="me")[:, 0] == 1)) > 5_000


def _span(tab: Tab) -> float:
    """How many frames are in sight."""
    where = tab.geometry()
    return float(where["stop"] - where["start"])


@pytest.fixture
def many(tmp_path) -> Any:
    """10,000 trials without videos: 50 in a session, 5 sessions an animal."""
    ds = sx.create(tmp_path / "many.zarr", data_root=tmp_path)
    rows = []
    for number in range(10_000):
        animal, session, trial_id = f"M{number // 250}", f"S{number // 50 % 5}", number % 50
        videos = tuple(f"{animal}/{session}/{view}_{trial_id}.mp4" for view in ("side", "front"))
        rows.append(TrialRow(animal, session, trial_id, videos, N_FRAMES, 100.0))
    add_trials(ds.attrs["soupxr_store"], rows, "table")
    return sx.open(ds.attrs["soupxr_store"])


def test_a_list_of_10_000_trials(many, served):
    with served(many.soup.view()) as tab:
        assert tab.text("count").split() == ["10", "000", "trials"]
        assert tab.get("trial").count() < 40
        tab.get("filter").fill("M39 S4 trial 49")
        tab.get("trial", key="M39/S4/49").click()
        tab.wait_trial("M39/S4/49")
        assert tab.get("trial").count() == 1
        tab.get("filter").fill("M7")
        tab.get("count").filter(has_text="250 of").wait_for()
        tab.get("filter").fill("")
        tab.get("filter").press("Escape")
        assert tab.get("trial").count() < 40
        tab.get("trials").evaluate("(list) => { list.scrollTop = list.scrollHeight / 2; }")
        tab.get("trial", key="M20/S0/0").click()
        tab.wait_trial("M20/S0/0")
        tab.press("n")
        tab.wait_trial("M20/S0/1")
        tab.press("p")
        tab.wait_trial("M20/S0/0")
        tab.get("sort").select_option("name")
        tab.press("n")
        tab.wait_trial("M20/S0/1")


# -------------------------------------------------------------------- meanwhile


def test_the_list_follows_what_another_process_commits(judged, served):
    address = judged.attrs["soupxr_store"]
    with served(judged.soup.view()) as tab:
        row = tab.get("trial", key="M2/S1/1")
        row.get_by_label("medium: not inferred").wait_for()
        row.get_by_label("not labelled").wait_for()
        command = [sys.executable, "-c", COMMIT, address, "M2/S1/1", "medium"]
        tests = str(Path(__file__).resolve().parents[1])
        subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": tests})
        row.get_by_label("medium: complete").wait_for()
        other = sx.open(address).sel(animal="M2", session="S1", trial_id=1)
        other.soup.annotate(np.zeros((N_FRAMES, 6), np.int8), annotator="Ben")
        row.get_by_label("labelled", exact=True).wait_for()


# -------------------------------------------------------------------- names

BOLD = "<script>alert(1)<script>"
ALERT = '<img src="x" onerror="alert(1)">'
#: Would end a script that the page brings along; no animal can be called so.
CLOSING = "</script><script>alert(1)</script>"
UNICODE = "Мышь “é” 🐭 &amp; 'q'"


def test_names_are_shown_as_they_are(tmp_path, served):
    behaviors = (BOLD, ALERT, UNICODE, CLOSING)
    ds = sx.create(tmp_path / "odd.zarr", data_root=tmp_path, behaviors=behaviors)
    videos = (f"{BOLD}.mp4", f"{UNICODE}.mp4")
    rows = [TrialRow(ALERT, UNICODE, 1, videos, 20, 100.0), TrialRow(BOLD, ALERT, 2, videos, 20, 1)]
    add_trials(ds.attrs["soupxr_store"], rows, "table")
    ds = sx.open(ds.attrs["soupxr_store"])
    mask = np.zeros((20, len(behaviors)), np.int8)
    for animal in (ALERT, BOLD):
        ds.sel(animal=animal).soup.annotate(mask, annotator=UNICODE)
        ds.sel(animal=animal).soup.annotate(mask, annotator=CLOSING)
    ds = sx.open(ds.attrs["soupxr_store"])
    with served(ds.soup.clean_ethograms(source=UNICODE, annotator=ALERT)) as tab:
        tab.page.on("dialog", lambda dialog: tab.page.evaluate("throw Error('alert')"))
        first, second = f"{ALERT}/{UNICODE}/1", f"{BOLD}/{ALERT}/2"
        assert tab.data("trial") == first
        assert tab.text("heading") == f"{ALERT} · {UNICODE} · trial 1"
        rows_ = tab.get("trial")
        assert f"{ALERT} · {UNICODE}" in rows_.nth(0).text_content()
        assert f"{BOLD} · {ALERT}" in rows_.nth(1).text_content()
        assert BOLD in tab.text("trouble")
        assert ALERT in tab.text("saved")
        for name in (*behaviors[1:], behaviors[0]):
            tab.press("s")
            tab.get("current").filter(has_text=name).wait_for()
            assert tab.text("current") == name
        tab.select(2, 12)
        tab.edit("1")
        assert labels_of(ds, first, annotator=ALERT)[:, 0].sum() == 10
        options = tab.get("control-source").locator("option").all_text_contents()
        assert {UNICODE, CLOSING} <= set(options)
        tab.press("n")
        tab.wait(trial=second.replace('"', '\\"'))
        for made in ("b", "img", "script:not([src])"):
            assert tab.root.locator(made).count() == 0
