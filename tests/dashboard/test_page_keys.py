"""Every key of the served page, in a real browser; what was edited is read from the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pages import labels_of, until

import soupxr as sx
from soupxr.bouts import mask_to_bouts
from soupxr.dashboard.doubt import doubtful_stretches
from soupxr.dataset import keys_of, store_of
from soupxr.modes import BEHAVIORS

pytestmark = pytest.mark.browser

KEY, SECOND, TENTH, BARE = "M1/S1/1", "M1/S1/2", "M1/S1/10", "M2/S1/1"
N_FRAMES = 60
LIFT, HANDOPEN, CHEW = (BEHAVIORS.index(name) for name in ("lift", "handopen", "chew"))


def files_of(ds, *parts: str) -> dict[str, bytes]:
    """Every file below parts of the store, or of the whole of it."""
    root = Path(ds.attrs["soupxr_store"])
    folders = [root / part for part in parts] or [root]
    assert all(folder.is_dir() for folder in folders)
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def with_bout(mask: np.ndarray, behavior: int, start: int, stop: int, value: int) -> np.ndarray:
    changed = mask.copy()
    changed[start:stop, behavior] = value
    return changed


def viewer_of(ds, editor: str):
    """A viewer whose first row is labelled, in an editor."""
    make = {
        "view": ds.soup.view,
        "clean": lambda: ds.soup.clean_ethograms("fast", annotator="me"),
        "manual": lambda: ds.soup.manual_ethograms("Ana"),
        "compare": lambda: ds.soup.compare_ethograms(["fast"], ["Ana"]),
    }
    return make[editor]()


# -------------------------------------------------------------------- labels


@pytest.mark.parametrize("editor", ["clean", "manual"])
def test_every_editing_key_is_on_disk_when_the_page_says_saved(judged, served, editor):
    if editor == "clean":
        viewer = judged.soup.clean_ethograms("fast", annotator="me")
        opened = labels_of(judged, KEY, mode="fast")
    else:
        viewer = judged.soup.manual_ethograms("me")
        opened = np.full((N_FRAMES, 6), -1, np.int8)
    predictions = files_of(judged, "ethogram", "probability")
    history = [opened]
    with served(viewer) as tab:

        def edit(keys: str, mask: np.ndarray) -> None:
            tab.edit(*keys.split())
            history.append(mask)
            np.testing.assert_array_equal(labels_of(judged, KEY, annotator="me"), mask)

        tab.select(12, 30)
        edit("1", with_bout(opened, LIFT, 12, 30, 1))
        edit("s 2", with_bout(history[-1], HANDOPEN, 12, 30, 0))
        assert tab.data("current") == str(HANDOPEN)
        edit("q q 1", with_bout(history[-1], CHEW, 12, 30, 1))  # around the end
        assert tab.data("current") == str(CHEW)
        tab.select(20, 26)
        edit("3", with_bout(history[-1], CHEW, 20, 26, -1))
        back = history[-1].copy()
        back[:, CHEW] = opened[:, CHEW]
        edit("t", back)
        edit("r", opened)
        for keys, masks in (("Control+z", history[-2::-1]), ("Control+Shift+z", history[1:])):
            for mask in masks:
                tab.edit(keys)
                np.testing.assert_array_equal(labels_of(judged, KEY, annotator="me"), mask)
            nothing_left = "undo" if keys == "Control+z" else "redo"
            assert tab.get(nothing_left).is_disabled()
        tab.edit("Control+z")  # back from the last reset
        # Opened anew, it goes on from what was saved, and a reset goes back to that.
        tab.load()
        np.testing.assert_array_equal(viewer.ethogram, history[-2])
        tab.select(40, 50)
        tab.edit("1")
        tab.edit("r")
        np.testing.assert_array_equal(labels_of(judged, KEY, annotator="me"), history[-2])
    assert files_of(judged, "ethogram", "probability") == predictions


def test_in_manual_what_was_watched_becomes_absent_and_the_rest_stays_unlabelled(judged, served):
    with served(judged.soup.manual_ethograms("me")) as tab:
        tab.wait_frame(0)
        for frame in range(1, 8):
            tab.press("ArrowRight")
            tab.wait_frame(frame)
        tab.press("o", "ArrowLeft", "ArrowLeft", "ArrowLeft")
        tab.wait_frame(4)
        tab.press("i")
        tab.edit("1")
        tab.get("speed").select_option("real")
        tab.go(20)
        tab.press("Space")  # frames are passed over: none of them counts
        tab.wait_frame(59)
        tab.get("speed").select_option("1")
        tab.go(50)
        tab.press("Space")  # what is played to the end is watched, what was jumped over is not
        tab.wait_frame(59)
        tab.edit("a")
        expected = np.full((N_FRAMES, 6), -1)
        expected[:8] = expected[20] = expected[50:] = 0
        expected[4:8, LIFT] = 1
        np.testing.assert_array_equal(labels_of(judged, KEY, annotator="me"), expected)
        tab.edit("Control+z")
        expected[expected == 0] = -1
        np.testing.assert_array_equal(labels_of(judged, KEY, annotator="me"), expected)
        tab.get("control-fill_absent").click()
        tab.wait_saved(4)
        assert (labels_of(judged, KEY, annotator="me")[:4] == 0).all()


def test_what_python_changes_is_on_the_page_and_saved_by_y(judged, served):
    viewer = judged.soup.clean_ethograms("fast", annotator="me")
    with served(viewer) as tab:
        viewer.frame = 33
        tab.wait_frame(33)
        viewer.behavior = "chew"
        tab.wait(current=CHEW)
        viewer.region = (3, 9)
        tab.wait(region="3-9")
        mask = viewer.ethogram.values
        mask[50:55, LIFT] = 1
        viewer.ethogram = mask
        tab.wait(version=1)
        tab.get("saved").filter(has_text="Y saves it").wait_for()
        assert "me" not in sx.open(judged.attrs["soupxr_store"]).annotator
        tab.press("y")
        tab.wait_saved(1)
        np.testing.assert_array_equal(labels_of(judged, KEY, annotator="me"), mask)
        viewer.region = None
        tab.wait(region="")
        viewer.selection = {"animal": "M1", "session": "S1", "trial_id": 10}
        tab.wait_trial(TENTH)
        # And what is done on the page is seen from Python.
        tab.press("Shift+ArrowRight", "ArrowRight", "o", "q")
        tab.wait(region="0-12", current=CHEW - 1)
        assert viewer.selection == {"animal": "M1", "session": "S1", "trial_id": 10}
        assert (viewer.region, viewer.behavior) == ((0, 12), BEHAVIORS[-2])
        # What is told is the frame on screen, which comes after what was asked for.
        until(lambda: viewer.frame == 11)


# -------------------------------------------------------------------- the playhead


@pytest.mark.parametrize("editor", ["view", "clean", "manual", "compare"])
def test_keys_move_the_playhead_and_the_region_in_every_editor(judged, served, editor):
    before = files_of(judged)
    with served(viewer_of(judged, editor)) as tab:
        tab.wait_frame(0)
        tab.watch()

        def arrive(key: str, frame: int) -> None:
            tab.press(key)
            tab.wait_frame(frame)
            assert tab.spelt() == [[frame, 0], [frame, 1]]

        arrive("ArrowRight", 1)
        arrive("Shift+ArrowRight", 11)
        arrive("ArrowLeft", 10)
        arrive("Shift+ArrowLeft", 0)
        tab.press("ArrowLeft", "Shift+ArrowLeft")  # not beyond the first
        source = {"annotator": "Ana"} if editor == "manual" else {"mode": "fast"}
        bouts = mask_to_bouts(labels_of(judged, KEY, **source)[:, HANDOPEN] == 1)
        start, stop = bouts[-1].tolist()
        tab.press("s")
        tab.wait(current=HANDOPEN)
        for first, after in bouts.tolist():
            arrive("]", first)
            arrive("]", after - 1)
        tab.press("]")  # there is none after it
        arrive("ArrowRight", stop)
        arrive("[", stop - 1)
        arrive("[", start)
        tab.press("i")
        tab.wait(region=f"{start}-60")
        arrive("]", stop - 1)
        tab.press("o")
        tab.wait(region=f"{start}-{stop}")
        tab.press("Escape")
        tab.wait(region="")
        tab.go(50)
        arrive("Space", 59)
        assert set(range(50, 60)) <= set(tab.drawn())
        if editor in ("view", "compare"):  # there, nothing is edited
            tab.select(10, 20)
            tab.press(*"123rtya", "Control+z", "Control+Shift+z")
            tab.press("s")  # what was pressed before has been dealt with once this has
            tab.wait(current=HANDOPEN + 1, version=0)
    assert files_of(judged) == before


def test_the_frame_on_screen_is_the_frame_named_however_fast_one_goes(judged, served):
    random = np.random.default_rng(0)
    with served(judged.soup.view()) as tab:
        tab.wait_frame(0)
        tab.watch()
        tab.press(*["ArrowRight"] * 40)
        tab.wait_frame(40)
        at = 40
        for key in random.choice(["ArrowLeft", "Shift+ArrowLeft", "Shift+ArrowRight"], 60):
            tab.press(key)
            step = (10 if "Shift" in key else 1) * (1 if "Right" in key else -1)
            at = min(max(at + step, 0), N_FRAMES - 1)
        tab.wait_frame(at)
        for frame in random.integers(0, N_FRAMES, 20):
            tab.get("jump").fill(str(frame))
            tab.press("Enter")
        tab.wait_frame(frame)
        tab.go(0)
        tab.get("speed").select_option("2")
        tab.press("Space")
        tab.wait_frame(N_FRAMES - 1)
        played = tab.drawn()[-N_FRAMES:]
        assert played == list(range(N_FRAMES))
        tab.watch()
        tab.get("view").select_option("front")
        tab.get("picture", view="front", frame=59).wait_for()
        assert tab.spelt() == [[59, 1]]


def test_space_stops_on_the_frame_that_is_on_screen(judged, served):
    with served(judged.soup.view()) as tab:
        tab.get("speed").select_option("0.25")
        tab.get("loop").click()
        tab.press("Space")
        until(lambda: tab.frame >= 3)
        tab.press("Space")
        assert tab.get("play").get_attribute("aria-label") == "Play"
        stopped = tab.frame
        tab.press("ArrowRight")
        after = min(stopped + 1, N_FRAMES - 1)
        tab.wait_frame(after)
        assert tab.spelt() == [[after, 0], [after, 1]]


def test_a_text_box_keeps_its_keys(judged, served):
    viewer = judged.soup.clean_ethograms("fast", annotator="me")
    with served(viewer) as tab:
        tab.select(40, 50)
        before = tab.data("region"), tab.data("current"), tab.data("version")
        tab.get("filter").click()
        tab.press(*"123qsrtyionp[]a", "Space", "ArrowLeft", "Control+z")
        tab.get("jump").click()
        tab.press("1", "s", "n")
        tab.get("sort").focus()
        tab.press("1", "y", "q")
        tab.get("filter").fill("M1")
        tab.press("Escape")
        assert (tab.data("region"), tab.data("current"), tab.data("version")) == before
        tab.edit("1")  # and gives them back
        assert (tab.data("trial"), tab.frame, tab.data("current")) == (KEY, 40, "0")
        expected = with_bout(labels_of(judged, KEY, mode="fast"), LIFT, 40, 50, 1)
        np.testing.assert_array_equal(labels_of(judged, KEY, annotator="me"), expected)


# -------------------------------------------------------------------- from trial to trial


def test_next_and_previous_keep_the_order_of_sort_and_filter(judged, served):
    with served(judged.soup.view()) as tab:

        def walk(*keys: str) -> list[str | None]:
            path = []
            for key in keys:
                was = tab.data("trial")
                tab.press(key)
                tab.root.and_(tab.page.locator(f':not([data-trial="{was}"])')).wait_for()
                tab.wait_trial(tab.data("trial"))
                path.append(tab.data("trial"))
            return path

        tab.wait_trial(KEY)
        assert keys_of(judged) == [KEY, SECOND, TENTH, BARE]
        assert walk("n", "n", "n") == [SECOND, TENTH, BARE]
        tab.press("n")  # the last
        tab.get("sort").select_option("labelled")
        tab.get("filter").fill("M1")
        tab.press("Escape")
        tab.get("count").filter(has_text="3 of 4").wait_for()
        tab.get("trial", key=SECOND).click()
        tab.wait_trial(SECOND)
        assert walk("p", "p", "n", "n") == [TENTH, KEY, TENTH, SECOND]


def test_edits_go_to_the_trial_on_screen(judged, served):
    with served(judged.soup.clean_ethograms("fast", annotator="me")) as tab:
        tab.select(50, 60)
        tab.edit("1")
        tab.press("n")
        tab.wait_trial(SECOND)
        assert tab.data("region") == ""
        tab.select(40, 45)
        tab.press("1", "n", "p", "p")  # without waiting for anything
        tab.wait_trial(KEY)
    fast = {key: labels_of(judged, key, mode="fast") for key in (KEY, SECOND)}
    for key, (start, stop) in {KEY: (50, 60), SECOND: (40, 45)}.items():
        expected = with_bout(fast[key], LIFT, start, stop, 1)
        np.testing.assert_array_equal(labels_of(judged, key, annotator="me"), expected)
    assert (labels_of(judged, TENTH, annotator="me") == -1).all()


# -------------------------------------------------------------------- view, compare, review


def test_view_says_what_is_not_inferred_and_draws_curves_on_request(judged, served):
    viewer = judged.soup.view("fast")
    with served(viewer) as tab:
        tab.wait_frame(0)
        assert not tab.get("message").is_visible()
        np.testing.assert_array_equal(viewer.ethogram, labels_of(judged, KEY, mode="fast"))
        without = tab.bars()
        tab.get("control-curves").click()
        until(lambda: tab.bars() != without)
        tab.get("control-curves").click()
        until(lambda: tab.bars() == without)
        tab.get("control-mode").select_option(label="slow")
        tab.get("message").filter(has_text="slow: not inferred yet").wait_for()
        assert (viewer.ethogram == -1).all()
        tab.get("control-mode").select_option(label="medium")
        tab.get("message").wait_for(state="hidden")
        np.testing.assert_array_equal(viewer.ethogram, labels_of(judged, KEY, mode="medium"))
        tab.get("trial", key=BARE).click()
        tab.wait_trial(BARE)
        tab.get("message").filter(has_text="medium: not inferred yet").wait_for()
        tab.get("control-mode").select_option(label="no ethogram")
        tab.get("message").wait_for(state="hidden")
        tab.press("ArrowRight")
        tab.wait_frame(1)
        assert tab.spelt() == [[1, 0], [1, 1]]


def test_compare_jumps_between_disagreements_and_agrees_with_evaluate(judged, served):
    fast, medium = (labels_of(judged, KEY, mode=mode) for mode in ("fast", "medium"))
    ana = labels_of(judged, KEY, annotator="Ana")
    scores = judged.isel(trial=[0]).soup.evaluate("fast", "Ana", on="all")
    figures = [
        f"κ {kappa:.2f} · F1 {f1:.2f}"
        for kappa, f1 in zip(scores.kappa.values.ravel(), scores.f1.values.ravel(), strict=True)
    ]
    with served(judged.soup.compare_ethograms(["fast", "medium"], ["Ana"])) as tab:

        def jump_along(*masks: np.ndarray) -> list[int]:
            said = np.stack(masks)
            differ = ((said == 1).any(axis=0) & (said == 0).any(axis=0)).any(axis=1)
            starts = mask_to_bouts(differ)[:, 0].tolist()
            assert starts[0] > 0
            assert len(starts) > 1
            tab.go(N_FRAMES - 1)
            for frame in reversed(starts):
                tab.press("Shift+D")
                tab.wait_frame(frame)
            tab.go(0)
            for frame in starts:
                tab.press("d")
                tab.wait_frame(frame)
                assert tab.spelt() == [[frame, 0], [frame, 1]]
            return starts

        assert "medium" in tab.written()
        of_three = jump_along(fast, medium, ana)
        tab.get("control-ethogram:medium").click()
        until(lambda: "medium" not in tab.written())
        assert jump_along(fast, ana) != of_three
        assert [text for text in tab.written() if "κ" in text] == figures


def test_review_by_doubt_goes_from_stretch_to_stretch(judged, served):
    stretches = doubtful_stretches(store_of(judged), keys_of(judged), "fast")
    worst = stretches[0]
    assert worst.key == TENTH
    assert 30 <= (worst.start + worst.stop) / 2 < 40
    with served(judged.soup.clean_ethograms("fast", annotator="me", order="uncertain")) as tab:

        def arrives(stretch):
            tab.wait_trial(stretch.key)
            tab.wait_frame(stretch.start)
            tab.wait(region=f"{stretch.start}-{stretch.stop}")

        arrives(worst)
        assert "0% of frames" in tab.text("review")
        tab.edit("1")
        assert (labels_of(judged, TENTH, annotator="me")[worst.start : worst.stop, LIFT] == 1).all()
        for stretch in stretches[1:4]:
            tab.press("n")
            arrives(stretch)
        done = sum(one.n_frames for one in stretches[:3]) / sum(one.n_frames for one in stretches)
        tab.get("review").filter(has_text=f"{done:.0%} of frames").wait_for()
        tab.press("p")
        arrives(stretches[2])


# -------------------------------------------------------------------- real trials


def test_real_trials_are_stepped_through_and_labelled(shared, tmp_path, served):
    root = shared / "data" / "mirror"
    ds = sx.create(tmp_path / "mirror.zarr", data_root=root, join="pad")
    ds = ds.soup.add_item("M1", experiment="table", progress=False)
    with served(ds.soup.manual_ethograms("me")) as tab:
        for key, session in ((KEY, "S1"), ("M1/S2/1", "S2")):
            tab.get("trial", key=key).click()
            tab.wait_trial(key)
            video = ds.sel(animal="M1", session=session, trial_id=1).soup.video()
            for frame in (0, 100, 247):
                tab.go(frame)
                near = range(max(frame - 4, 0), min(frame + 5, 248))
                pixels = tab.pixels().astype(int)
                away = [np.abs(video[other].values - pixels).mean() for other in near]
                assert near[int(np.argmin(away))] == frame
            tab.select(100, 120)
            tab.edit("1")
            lift = labels_of(ds, key, annotator="me")[:, LIFT].tolist()
            assert lift == [-1] * 100 + [1] * 20 + [-1] * 128
