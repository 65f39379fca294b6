"""The mouse on the served page, in a real browser; what was edited is read from the store."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from pages import labels_of, until

from soupxr.modes import BEHAVIORS

pytestmark = pytest.mark.browser

KEY, SECOND, TENTH = "M1/S1/1", "M1/S1/2", "M1/S1/10"
LIFT, HANDOPEN, GRAB, SUPINATE = range(4)
#: Height within a lane: on the bars that are edited in `clean`, and above all bars.
ON_BAR, OFF_BAR = 0.35, 0.04


@pytest.fixture
def cleaning(judged, served):
    """The page of an editor on M1/S1/1, whose bout of behavior b is [5 + 3 b, 25 + 2 b)."""
    with served(judged.soup.clean_ethograms("fast", annotator="me")) as tab:
        tab.wait_frame(0)
        yield tab


def opened(ds):
    return labels_of(ds, KEY, mode="fast")


def assert_saved(ds, labels):
    np.testing.assert_array_equal(labels_of(ds, KEY, annotator="me"), labels)


def assert_shows(tab, frame):
    tab.wait_frame(frame)
    assert tab.spelt() == [[frame, 0], [frame, 1]]


def test_a_drag_makes_the_region_and_its_edges_resize_it(judged, cleaning):
    tab, expected = cleaning, opened(judged)
    tab.hold(tab.at(12.2, HANDOPEN), tab.at(29.8, HANDOPEN))
    assert_shows(tab, 29)
    tab.page.mouse.up()
    tab.wait(region="12-30", current=HANDOPEN)
    tab.drag(tab.at(40.5, SUPINATE), tab.at(33.5, SUPINATE))  # backwards, in another lane
    tab.wait(region="33-41", current=SUPINATE)
    assert_shows(tab, 33)
    tab.hold(tab.at(41, GRAB), tab.at(50, GRAB))
    assert_shows(tab, 49)  # the last frame inside
    tab.page.mouse.up()
    tab.wait(region="33-50", current=SUPINATE)
    tab.hold(tab.at(33, GRAB), tab.at(45, GRAB))
    assert_shows(tab, 45)  # the first
    tab.page.mouse.up()
    tab.wait(region="45-50")
    tab.drag(tab.at(45, GRAB), tab.at(56, GRAB))  # past the other edge
    tab.wait(region="50-56")
    assert_shows(tab, 55)
    tab.edit("1")
    expected[50:56, SUPINATE] = 1
    assert_saved(judged, expected)
    # Zoomed in, it is where the mouse is.
    tab.page.mouse.move(*tab.at(40, LIFT, OFF_BAR))
    under = tab.at(40, LIFT, OFF_BAR)[0]
    tab.page.mouse.wheel(0, -600)
    until(lambda: tab.geometry()["stop"] - tab.geometry()["start"] < 30)
    assert tab.at(40, LIFT, OFF_BAR)[0] == pytest.approx(under, abs=1)  # zoomed at the pointer
    tab.drag(tab.at(38.3, LIFT, OFF_BAR), tab.at(41.7, LIFT, OFF_BAR))
    tab.wait(region="38-42")
    tab.edit("1")
    expected[38:42, LIFT] = 1
    assert_saved(judged, expected)
    start = tab.geometry()["start"]
    tab.page.mouse.move(*tab.at(40, LIFT, OFF_BAR))
    tab.page.keyboard.down("Shift")
    tab.page.mouse.wheel(0, -200)
    tab.page.keyboard.up("Shift")
    until(lambda: tab.geometry()["start"] < start)
    tab.get("zoom-whole").click()
    until(lambda: (tab.geometry()["start"], tab.geometry()["stop"]) == (0, 60))


def test_the_edge_of_a_bout_is_dragged_and_shows_its_frame(judged, cleaning):
    tab, expected = cleaning, opened(judged)

    def drag(lane: int, edge: int, to: int, frame: int) -> None:
        version = tab.version
        tab.hold(tab.at(edge, lane, ON_BAR), tab.at(to, lane, ON_BAR))
        assert_shows(tab, frame)
        assert tab.version == version  # nothing is changed until it is let go
        tab.page.mouse.up()
        tab.wait_saved(version + 1)
        tab.wait(version=version + 1, current=lane)

    drag(LIFT, 25, 33, 32)
    expected[25:33, LIFT] = 1
    assert_saved(judged, expected)
    drag(LIFT, 5, 15, 15)
    expected[5:15, LIFT] = 0
    assert_saved(judged, expected)
    drag(GRAB, 11, 3, 3)
    expected[3:11, GRAB] = 1
    assert_saved(judged, expected)
    # Escape gives up what is being dragged.
    tab.hold(tab.at(33, LIFT, ON_BAR), tab.at(40, LIFT, ON_BAR))
    assert_shows(tab, 39)
    tab.press("Escape")
    tab.page.mouse.up()
    for version in (4, 5, 6):
        tab.get("undo").click()
        tab.wait_saved(version)
    assert_saved(judged, opened(judged))
    tab.get("redo").click()
    tab.wait_saved(7)
    expected = opened(judged)
    expected[25:33, LIFT] = 1
    assert_saved(judged, expected)


def test_a_double_click_selects_a_bout_and_a_click_moves_the_playhead(judged, cleaning):
    tab, expected = cleaning, opened(judged)
    tip = tab.get("tooltip")
    tab.page.mouse.move(*tab.at(10, HANDOPEN, ON_BAR))
    tip.filter(has_text="handopen").wait_for()
    assert "8–27 · 19 frames · 0.19 s" in tip.text_content()
    tab.page.mouse.move(*tab.at(45.5, HANDOPEN, ON_BAR))
    tip.filter(has_text="absent").wait_for()
    tab.click(tab.at(44.5, GRAB))
    assert_shows(tab, 44)
    tab.wait(current=GRAB, region="")
    tab.click(tab.at(20.5, SUPINATE, ON_BAR), count=2)
    tab.wait(region="14-31", current=SUPINATE)
    assert_shows(tab, 20)
    tab.edit("2")
    expected[14:31, SUPINATE] = 0
    assert_saved(judged, expected)
    tab.click(tab.at(50.5, LIFT), count=2)  # there is no bout: the region stays
    assert_shows(tab, 50)
    tab.press("s")
    tab.wait(region="14-31", current=HANDOPEN)


def test_the_controls_of_the_player(judged, served):
    viewer = judged.soup.view()
    with served(viewer) as tab:
        tab.wait_frame(0)
        tab.get("step-forward").click()
        assert_shows(tab, 1)
        tab.get("step-back").click()
        assert_shows(tab, 0)
        tab.get("jump").fill("0.25s")
        tab.press("Enter")
        assert_shows(tab, 25)
        assert tab.text("position") == "0.25 s · frame 25 / 59"
        tab.get("slider").fill("31")
        assert_shows(tab, 31)
        tab.get("view").select_option("front")
        tab.get("picture", view="front", frame=31).wait_for()
        assert tab.spelt() == [[31, 1]]
        tab.select(20, 26)
        tab.watch()
        tab.get("loop").click()
        tab.get("play").click()
        until(lambda: len(tab.drawn((1,))) >= 20)
        tab.get("play").click()
        drawn = tab.drawn((1,))
        following = pairwise(drawn)
        assert all(later == (20 if frame == 25 else frame + 1) for frame, later in following)
        tab.get("next").click()
        tab.wait_trial(SECOND)
        tab.get("previous").click()
        tab.wait_trial(KEY)
        tab.get("trial", key=TENTH).click()
        tab.wait_trial(TENTH)
        until(lambda: viewer.selection["trial_id"] == 10)
        assert tab.spelt() == [[0, 1]]


def test_clean_can_begin_with_somebody_elses_labels(judged, served):
    viewer = judged.soup.clean_ethograms("fast", annotator="me")
    with served(viewer) as tab:
        tab.get("control-source").select_option(label="Ana")
        ana = labels_of(judged, KEY, annotator="Ana")
        until(lambda: np.array_equal(viewer.ethogram, ana))
        tab.select(50, 55)
        tab.edit("1")
        expected = ana.copy()
        expected[50:55, LIFT] = 1
        np.testing.assert_array_equal(labels_of(judged, KEY, annotator="me"), expected)
        np.testing.assert_array_equal(labels_of(judged, KEY, annotator="Ana"), ana)
        # What was edited stays, whatever is then chosen to begin with.
        tab.get("control-source").select_option(label="medium")
        tab.edit("Control+z")
        np.testing.assert_array_equal(labels_of(judged, KEY, annotator="me"), ana)


@pytest.mark.parametrize("editor", ["view", "compare"])
def test_where_nothing_is_edited_a_drag_from_an_edge_makes_a_region(judged, served, editor):
    if editor == "view":
        viewer = judged.soup.view("fast", annotator="Ana")
    else:
        viewer = judged.soup.compare_ethograms(["fast", "medium"], ["Ana"])
    with served(viewer) as tab:
        tab.drag(tab.at(25.2, LIFT, ON_BAR), tab.at(32.6, LIFT, ON_BAR))
        tab.wait(region="25-33", current=LIFT, version=0)
        tab.click(tab.at(15.5, BEHAVIORS.index("chew") - 1, 0.5), count=2)
        tab.wait(current=BEHAVIORS.index("chew") - 1)
        np.testing.assert_array_equal(viewer.ethogram, labels_of(judged, KEY, mode="fast"))
