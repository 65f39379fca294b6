"""The Python side of a viewer: what is on the page, how to move it, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from pages import labels_of, until
from results import annotate

import soupxr as sx
from soupxr.modes import BEHAVIORS

FIRST = {"animal": "M1", "session": "S1", "trial_id": 1}
TENTH = {"animal": "M1", "session": "S1", "trial_id": 10}


@pytest.fixture
def cleaning(judged):
    return judged.soup.clean_ethograms("fast", annotator="me")


# -------------------------------------------------------------------- what is on the page


def test_before_anything_is_done_the_first_trial_is_there(judged, cleaning):
    assert cleaning.selection == FIRST
    assert (cleaning.frame, cleaning.behavior, cleaning.region) == (0, "lift", None)
    ethogram = cleaning.ethogram
    assert ethogram.dims == ("frame", "behavior")
    assert ethogram.dtype == np.int8
    assert ethogram.behavior.values.tolist() == list(BEHAVIORS)
    np.testing.assert_allclose(ethogram.time, np.arange(60) / 100)
    assert {name: ethogram[name].item() for name in FIRST} == FIRST
    np.testing.assert_array_equal(ethogram, judged.sel(FIRST).ethogram.sel(mode="fast"))
    np.testing.assert_array_equal(
        ethogram, judged.sel(cleaning.selection).ethogram.sel(mode="fast")
    )


@pytest.mark.parametrize("trial", [TENTH, ("M1", "S1", 10), "M1/S1/10"])
def test_the_selection_is_set_to_labels_a_tuple_or_a_key(judged, cleaning, trial):
    cleaning.frame = 20
    cleaning.selection = trial
    assert cleaning.selection == TENTH
    assert (cleaning.frame, cleaning.region) == (0, None)
    np.testing.assert_array_equal(cleaning.ethogram, judged.sel(TENTH).ethogram.sel(mode="fast"))


def test_a_viewer_has_the_trials_that_were_selected_and_no_others(judged):
    viewer = judged.isel(trial=[1, 2]).soup.clean_ethograms("fast")
    assert viewer.selection == {**FIRST, "trial_id": 2}
    viewer.selection = TENTH
    for other in (FIRST, "M2/S1/1", "M1/S1", {"animal": "M1"}):
        with pytest.raises(sx.ArgumentError, match="selection"):
            viewer.selection = other
    assert viewer.selection == TENTH
    assert "2 trials of 1 animal;" in repr(viewer)


def test_trials_that_others_removed_are_left_out(judged):
    sx.open(judged.attrs["soupxr_store"]).soup.remove_item("M1", "S1", 1)
    assert judged.soup.view("fast").selection == FIRST | {"trial_id": 2}
    alone = judged.sel(animal="M1", session="S1", trial_id=[1])
    with pytest.raises(sx.ArgumentError, match="a selection with trials"):
        alone.soup.view("fast")


def test_frame_behavior_and_region_are_set_within_what_there_is(cleaning):
    cleaning.frame, cleaning.behavior, cleaning.region = 59, "chew", (50, 70)
    assert (cleaning.frame, cleaning.behavior, cleaning.region) == (59, "chew", (50, 60))
    for name, wrong in [
        ("frame", 60),
        ("frame", -1),
        ("frame", "3"),
        ("behavior", "grooming"),
        ("region", (5,)),
        ("region", 5),
        ("region", ("a", "b")),
        ("region", (0, float("nan"))),
    ]:
        with pytest.raises(sx.ArgumentError, match=f"{name}|start|stop"):
            setattr(cleaning, name, wrong)
    assert (cleaning.frame, cleaning.behavior, cleaning.region) == (59, "chew", (50, 60))
    cleaning.region = None
    assert cleaning.region is None


# -------------------------------------------------------------------- labels from Python


def test_labels_set_from_python_are_written_by_save(judged, cleaning):
    wanted = cleaning.ethogram
    wanted[40:50] = -1
    wanted.loc[{"frame": slice(50, 54), "behavior": "grab"}] = 1
    cleaning.ethogram = wanted
    np.testing.assert_array_equal(cleaning.ethogram, wanted)
    assert "me" not in sx.open(judged.attrs["soupxr_store"]).annotator
    cleaning.save()
    np.testing.assert_array_equal(labels_of(judged, "M1/S1/1", annotator="me"), wanted)
    # The same trial in a viewer that is opened later.
    np.testing.assert_array_equal(
        judged.soup.clean_ethograms("fast", annotator="me").ethogram, wanted
    )


def test_labels_that_are_none_are_refused_and_change_nothing(judged, cleaning):
    before = cleaning.ethogram
    for wrong in (before[:-1], before.values.T, before + 2, before.astype(float) + 0.5, "absent"):
        with pytest.raises(sx.ArgumentError, match="mask"):
            cleaning.ethogram = wrong
    np.testing.assert_array_equal(cleaning.ethogram, before)


def test_what_is_got_is_a_copy(cleaning):
    cleaning.ethogram[:] = 1
    assert (cleaning.ethogram == 0).any()


def test_save_tells_of_labels_that_others_saved_meanwhile(judged, cleaning):
    theirs = np.zeros((60, 6), np.int8)
    assert cleaning.selection == FIRST
    annotate(judged, "M1/S1/1", theirs, "me")
    cleaning.ethogram = np.ones((60, 6), np.int8)
    with pytest.raises(sx.StoreError, match="M1/S1/1"):
        cleaning.save()
    np.testing.assert_array_equal(labels_of(judged, "M1/S1/1", annotator="me"), theirs)


def test_viewers_that_edit_nothing_say_so(judged):
    for viewer in (judged.soup.view(), judged.soup.compare_ethograms(["fast"], ["Ana"])):
        with pytest.raises(sx.ArgumentError, match="edit"):
            viewer.ethogram = viewer.ethogram
        with pytest.raises(sx.ArgumentError, match="edit"):
            viewer.save()


def test_a_store_that_cannot_be_written_is_told_of(judged, monkeypatch):
    monkeypatch.setattr(
        "soupxr.dashboard.workbench.why_read_only", lambda address: "The store is read-only."
    )
    viewer = judged.soup.clean_ethograms("fast", annotator="me")
    for act in (viewer.save, lambda: setattr(viewer, "ethogram", viewer.ethogram)):
        with pytest.raises(sx.StoreError, match="read-only"):
            act()


# -------------------------------------------------------------------- what it is made of


def test_it_says_what_it_is(judged):
    assert repr(judged.soup.view()) == (
        "<soupxr viewer: view, 4 trials of 2 animals; .show() opens it in the browser>"
    )
    one = judged.sel(animal="M2")
    assert "manual, 1 trial of 1 animal;" in repr(one.soup.manual_ethograms())


def test_defaults_are_what_there_is(judged):
    assert "compare" in repr(judged.soup.compare_ethograms())
    bare = judged.sel(animal="M2")
    for viewer in (bare.soup.view(), bare.soup.clean_ethograms(), bare.soup.manual_ethograms()):
        assert (viewer.ethogram == -1).all()
    with pytest.raises(sx.ArgumentError, match="two sources"):
        bare.soup.compare_ethograms()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda soup: soup.view(mode="quick"), "mode"),
        (lambda soup: soup.view(annotator="Ben"), "Ana"),
        (lambda soup: soup.clean_ethograms(mode="quick"), "mode"),
        (lambda soup: soup.clean_ethograms(source="Ben"), "Ana"),
        (lambda soup: soup.clean_ethograms("fast", source="Ana"), "either mode= or annotator="),
        (lambda soup: soup.clean_ethograms(source="Ana", annotator="Ana"), "source"),
        (lambda soup: soup.clean_ethograms(annotator=" "), "annotator"),
        (lambda soup: soup.clean_ethograms(order="doubt"), "order"),
        (lambda soup: soup.clean_ethograms(source="Ana", order="uncertain"), "order"),
        (lambda soup: soup.clean_ethograms("slow", order="uncertain"), "infer"),
        (lambda soup: soup.manual_ethograms(""), "annotator"),
        (lambda soup: soup.compare_ethograms(["fast"]), "two sources"),
        (lambda soup: soup.compare_ethograms("fast", ["Ana"]), "modes"),
        (lambda soup: soup.compare_ethograms(["fast", "fast"]), "two sources"),
    ],
)
def test_refuses_what_is_of_no_use(judged, make, named):
    with pytest.raises(sx.ArgumentError, match=named):
        make(judged.soup)


@pytest.mark.parametrize("editor", ["view", "clean_ethograms", "manual_ethograms"])
def test_refuses_an_empty_selection(judged, editor):
    with pytest.raises(sx.ArgumentError, match="add_item"):
        getattr(judged.isel(trial=[]).soup, editor)()


# -------------------------------------------------------------------- pages


@pytest.mark.browser
def test_what_was_set_before_is_on_the_page_that_is_opened(served, cleaning):
    cleaning.selection, cleaning.frame, cleaning.region = TENTH, 33, (12, 20)
    with served(cleaning) as tab:
        tab.wait(trial="M1/S1/10", region="12-20")
        tab.wait_frame(33)


@pytest.fixture
def _short_sessions(monkeypatch):
    """The server's side of a page ends 0.1 s after nobody is there any more."""
    monkeypatch.setattr("soupxr.dashboard.serve.UNUSED_MS", 100)
    monkeypatch.setattr("soupxr.dashboard.serve.CHECK_MS", 100)


@pytest.mark.browser
@pytest.mark.usefixtures("_short_sessions")
def test_python_speaks_of_the_page_that_was_opened_last(served, cleaning):
    with served(cleaning) as first:
        first.go(5)
        second = first.twin()
        second.wait_frame(0)  # a page of its own
        assert cleaning.frame == 0
        cleaning.frame = 17
        second.wait_frame(17)
        assert first.frame == 5
        first.press("n")
        first.wait_trial("M1/S1/2")
        assert cleaning.selection == FIRST
        second.page.close()
        until(lambda: cleaning.selection != FIRST)
        cleaning.frame = 41
        first.wait_frame(41)


@pytest.mark.browser
@pytest.mark.usefixtures("_short_sessions")
def test_a_page_that_comes_late_gets_a_new_session_and_asks_nobody_else(judged, served, cleaning):
    with served(cleaning) as tab:

        def come_late(route):
            until(lambda: "0 pages open" in repr(tab.server))
            route.fallback()

        tab.page.route("**/*.js*", come_late)
        tab.load()
        tab.select(50, 60)
        tab.edit("1")
        assert (labels_of(judged, "M1/S1/1", annotator="me")[50:, 0] == 1).all()
