"""The edited ethogram against a naive model that keeps a copy of every mask."""

from __future__ import annotations

import math
import subprocess
import sys
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from soupxr.dashboard.edit import Edit, Stretch
from soupxr.errors import ArgumentError

NAMES = ("lift", "grab", "chew")
VALUES = st.sampled_from((1, 0, -1))

masks = hnp.arrays(
    np.int8, st.tuples(st.integers(1, 12), st.integers(1, len(NAMES))), elements=VALUES
)
boundaries = st.one_of(
    st.integers(-3, 15),
    st.floats(-3, 15),
    st.sampled_from([-math.inf, math.inf]),
)


def edit_of(*rows: str, seen: Any = None) -> Edit:
    """An edit of one row a behavior: # occurs, . does not, ? unlabelled."""
    values = [[{"#": 1, ".": 0, "?": -1}[letter] for letter in row] for row in rows]
    return Edit(np.array(values).T, NAMES[: len(rows)], seen=seen)


def drawn(edit: Edit, mask: np.ndarray | None = None) -> list[str]:
    rows = (edit.mask if mask is None else mask).T
    return ["".join({1: "#", 0: ".", -1: "?"}[int(value)] for value in row) for row in rows]


def stretches(flags: list[bool]) -> list[int]:
    """Starts and stops of what is true, frame by frame."""
    padded = [False, *flags, False]
    return [frame for frame in range(len(flags) + 1) if padded[frame] != padded[frame + 1]]


# ------------------------------------------------------------------ against a naive model


class Editing(RuleBasedStateMachine):
    """Any sequence of edits; ``masks[place]`` is the mask, the others are undone or redone."""

    @initialize(mask=masks, seen=st.lists(st.booleans(), min_size=12, max_size=12))
    def open(self, mask: np.ndarray, seen: list[bool]) -> None:
        self.n_frames, self.n_behaviors = mask.shape
        self.edit = Edit(mask, NAMES[: self.n_behaviors], seen=seen[: self.n_frames])
        self.masks, self.place, self.version = [mask.copy()], 0, 0
        self.current, self.region = 0, None
        self.seen = seen[: self.n_frames]
        mask[:] = 7  # theirs from now on

    def behavior(self, data: st.DataObject) -> int:
        return data.draw(st.integers(0, self.n_behaviors - 1), label="behavior")

    def one_or_all(self, data: st.DataObject) -> int | None:
        return data.draw(st.none() | st.integers(0, self.n_behaviors - 1), label="behavior")

    def changes(self, mask: np.ndarray, returned: tuple[int, ...]) -> None:
        """The mask shall be this one now, by an edit that returned so much."""
        changed = np.flatnonzero((mask != self.masks[self.place]).any(axis=0))
        assert returned == tuple(changed)
        if changed.size:
            self.masks[self.place + 1 :] = [mask]
            self.place += 1
            self.version += 1

    @rule(value=VALUES)
    def mark(self, value: int) -> None:
        mask = self.masks[self.place].copy()
        if self.region is not None:
            mask[slice(*self.region), self.current] = value
        self.changes(mask, self.edit.mark(value))

    @rule(data=st.data())
    def assign(self, data: st.DataObject) -> None:
        shape = (self.n_frames, self.n_behaviors)
        mask = data.draw(hnp.arrays(np.int8, shape, elements=VALUES))
        self.changes(mask, self.edit.assign(mask))

    @rule(data=st.data(), to=boundaries)
    def move_edge(self, data: st.DataObject, to: float) -> None:
        behavior = self.behavior(data)
        column = self.masks[self.place][:, behavior]
        edges = stretches((column == 1).tolist())
        if not edges:
            return
        number = data.draw(st.integers(0, len(edges) - 1), label="edge")
        start, stop = edges[number // 2 * 2 :][:2]
        target = math.floor(min(max(to, 0), self.n_frames) + 0.5)
        mask = self.masks[self.place].copy()
        mask[start:stop, behavior] = 0
        if number % 2 == 0:
            mask[target:stop, behavior] = 1
        else:
            mask[start:target, behavior] = 1
        self.changes(mask, self.edit.move_edge(behavior, edges[number], to))

    @rule(data=st.data())
    def move_no_edge(self, data: st.DataObject) -> None:
        behavior = self.behavior(data)
        edges = stretches((self.masks[self.place][:, behavior] == 1).tolist())
        others = set(range(-1, self.n_frames + 2)) - set(edges)
        edge = data.draw(st.sampled_from(sorted(others)))
        with pytest.raises(ArgumentError, match="edge: expected a frame where a bout of"):
            self.edit.move_edge(behavior, edge, 0)

    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        behavior = self.one_or_all(data)
        mask = self.masks[self.place].copy()
        columns = slice(None) if behavior is None else behavior
        mask[:, columns] = self.masks[0][:, columns]
        self.changes(mask, self.edit.reset(behavior))

    @rule(data=st.data())
    def fill_absent(self, data: st.DataObject) -> None:
        behavior = self.one_or_all(data)
        mask = self.masks[self.place].copy()
        for column in range(self.n_behaviors) if behavior is None else [behavior]:
            for frame in range(self.n_frames):
                if self.seen[frame] and mask[frame, column] == -1:
                    mask[frame, column] = 0
        self.changes(mask, self.edit.fill_absent(behavior))

    @rule(step=st.sampled_from([-1, 1]), times=st.integers(1, 4))
    def undo_or_redo(self, step: int, times: int) -> None:
        for _ in range(times):
            goes = 0 <= self.place + step < len(self.masks)
            before = self.masks[self.place]
            self.place += step * goes
            self.version += goes
            returned = self.edit.undo() if step < 0 else self.edit.redo()
            changed = np.flatnonzero((before != self.masks[self.place]).any(axis=0))
            assert returned == tuple(changed)

    @rule(start=boundaries, stop=boundaries)
    def set_region(self, start: float, stop: float) -> None:
        self.edit.set_region(start, stop)
        low, high = sorted(min(max(edge, 0), self.n_frames) for edge in (start, stop))
        self.region = (math.floor(low + 0.5), math.floor(high + 0.5))
        if self.region[0] == self.region[1]:
            frame = min(math.floor((low + high) / 2), self.n_frames - 1)
            self.region = (frame, frame + 1)

    @precondition(lambda self: self.region is not None)
    @rule()
    def clear_region(self) -> None:
        self.edit.clear_region()
        self.region = None

    @rule(which=st.sampled_from(["start", "stop"]), data=st.data())
    def region_edge(self, which: Any, data: st.DataObject) -> None:
        frame = data.draw(st.integers(0, self.n_frames - 1), label="frame")
        self.edit.region_edge(which, frame)
        start, stop = self.region or (0, self.n_frames)
        start, stop = (frame, stop) if which == "start" else (start, frame + 1)
        self.region = (start, stop) if start < stop else (frame, frame + 1)

    @rule(data=st.data(), by_name=st.booleans())
    def select(self, data: st.DataObject, by_name: bool) -> None:
        self.current = self.behavior(data)
        self.edit.select(NAMES[self.current] if by_name else self.current)

    @rule(step=st.integers(-4, 4))
    def cycle(self, step: int) -> None:
        self.edit.cycle(step)
        for _ in range(abs(step)):
            self.current += 1 if step > 0 else -1
            self.current = {-1: self.n_behaviors - 1, self.n_behaviors: 0}.get(
                self.current, self.current
            )

    @rule(data=st.data(), frame=st.integers(-1, 12))
    def select_bout(self, data: st.DataObject, frame: int) -> None:
        behavior = self.behavior(data)
        edges = stretches((self.masks[self.place][:, behavior] == 1).tolist())
        bouts = zip(edges[::2], edges[1::2], strict=True)
        under = [bout for bout in bouts if bout[0] <= frame < bout[1]]
        assert self.edit.select_bout(behavior, frame) is bool(under)
        if under:
            self.current, self.region = behavior, under[0]

    @rule(start=st.integers(-2, 13), stop=st.integers(-2, 13))
    def watch(self, start: int, stop: int) -> None:
        frames = [frame for frame in range(self.n_frames) if start <= frame < stop]
        is_news = not all(self.seen[frame] for frame in frames)
        assert self.edit.watch(start, stop) is is_news
        for frame in frames:
            self.seen[frame] = True

    @invariant()
    def is_what_the_model_is(self) -> None:
        edit, mask = self.edit, self.masks[self.place]
        np.testing.assert_array_equal(edit.mask, mask)
        np.testing.assert_array_equal(edit.original, self.masks[0])
        assert edit.mask.dtype == np.int8
        assert edit.version == self.version
        assert edit.can_undo is (self.place > 0)
        assert edit.can_redo is (self.place < len(self.masks) - 1)
        assert edit.is_changed is bool((mask != self.masks[0]).any())
        assert (edit.current, edit.region) == (self.current, self.region)
        assert edit.seen.tolist() == self.seen
        assert edit.seen_stretches() == stretches(self.seen)

    @invariant()
    def bouts_are_those_of_the_mask(self) -> None:
        for behavior in range(self.n_behaviors):
            column = self.masks[self.place][:, behavior]
            for value in (1, 0, -1):
                assert self.edit.bouts(behavior, value) == stretches((column == value).tolist())


TestEditing = Editing.TestCase
TestEditing.settings = settings(
    max_examples=80,
    stateful_step_count=50,
    suppress_health_check=[HealthCheck.too_slow],
)


# ------------------------------------------------------------------ opening


def test_a_trial_is_copied_and_cannot_be_written_around_the_edits():
    mask, seen = np.zeros((5, 2), np.int8), np.zeros(5, bool)
    edit = Edit(mask, ["lift", "grab"], seen=seen)
    for theirs, ours in ((mask, edit.mask), (mask, edit.original), (seen, edit.seen)):
        assert not np.shares_memory(theirs, ours)
        with pytest.raises(ValueError, match="read-only"):
            ours[0] = 1
    assert not np.shares_memory(edit.mask, edit.original)
    edit.set_region(0, 2)
    edit.mark(1)
    edit.watch(0, 3)
    assert not mask.any()
    assert not seen.any()


def test_the_view_of_the_mask_follows_the_edits():
    edit = edit_of("....")
    view, seen = edit.mask, edit.seen
    edit.set_region(1, 3)
    edit.mark(1)
    edit.watch(1, 2)
    assert view[:, 0].tolist() == [0, 1, 1, 0]
    assert seen.tolist() == [False, True, False, False]


def test_a_trial_starts_with_nothing_done():
    edit = edit_of("?#.", "...")
    assert (edit.behaviors, edit.n_frames) == (("lift", "grab"), 3)
    assert (edit.current, edit.region, edit.version) == (0, None, 0)
    assert (edit.is_changed, edit.can_undo, edit.can_redo) == (False, False, False)
    assert edit.seen_stretches() == []
    assert edit.undo() == edit.redo() == edit.mark(1) == edit.reset() == ()
    assert edit.version == 0


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32])
def test_masks_of_other_types_are_taken(dtype):
    values = np.array([[0, 1], [1, 0]], dtype)
    edit = Edit(values, ["lift", "grab"])
    assert edit.mask.dtype == np.int8
    assert edit.assign(1 - values.astype(int)) == (0, 1)


WRONG = (
    (np.zeros(4), r"mask: expected shape \((n_frames|4), 2\), but got \(4,\)"),
    (np.zeros((4, 3)), r"mask: expected shape \((n_frames|4), 2\), but got \(4, 3\)"),
    (np.full((4, 2), 2), "mask: expected 1, 0 and -1 only, but got 2"),
    (np.full((4, 2), 0.5), "mask: expected 1, 0 and -1 only, but got 0.5"),
    (np.full((4, 2), np.nan), "mask: expected 1, 0 and -1 only, but got nan"),
)


@pytest.mark.parametrize(("mask", "message"), WRONG)
def test_masks_that_are_none_are_refused(mask, message):
    with pytest.raises(ArgumentError, match=message):
        Edit(mask, ["lift", "grab"])
    edit = edit_of("#...", "...?")
    with pytest.raises(ArgumentError, match=message):
        edit.assign(mask)
    assert drawn(edit) == ["#...", "...?"]
    assert not edit.can_undo


def test_masks_of_another_length_are_no_masks_of_this_trial():
    with pytest.raises(ArgumentError, match=r"mask: expected shape \(4, 2\), but got \(5, 2\)"):
        edit_of("....", "....").assign(np.zeros((5, 2)))


@pytest.mark.parametrize("behaviors", [[], "li", ["lift", "lift"]])
def test_behaviors_have_names_of_their_own(behaviors):
    with pytest.raises(ArgumentError, match="behaviors: expected a list of different names"):
        Edit(np.zeros((4, 2)), behaviors)


@pytest.mark.parametrize("seen", [np.zeros(3, bool), np.zeros(4), np.zeros((4, 1), bool)])
def test_seen_frames_are_those_of_the_trial(seen):
    with pytest.raises(ArgumentError, match="seen: expected 4 truth values, one a frame"):
        Edit(np.zeros((4, 2)), ["lift", "grab"], seen=seen)


def test_a_trial_without_frames_can_be_opened():
    edit = Edit(np.zeros((0, 2)), ["lift", "grab"])
    edit.set_region(0, 5)
    edit.region_edge("start", 0)
    edit.region_edge("stop", 0)
    edit.watch(0, 5)
    assert edit.region is None
    assert edit.mark(1) == edit.fill_absent() == edit.assign(np.zeros((0, 2))) == ()
    assert edit.bouts(0) == edit.seen_stretches() == []
    assert edit.next_edge(0, 1) is None
    assert edit.select_bout(0, 0) is False


# ------------------------------------------------------------------ selecting


@given(n_frames=st.integers(1, 30), start=st.floats(-5, 40), stop=st.floats(-5, 40))
def test_a_region_has_frames_of_the_trial_and_is_near_the_drag(n_frames, start, stop):
    edit, turned = (Edit(np.zeros((n_frames, 1)), ["lift"]) for _ in range(2))
    edit.set_region(start, stop)
    turned.set_region(stop, start)
    note(f"{edit.region}")
    assert edit.region == turned.region
    assert edit.region is not None
    assert all(type(edge) is int for edge in edit.region)
    assert 0 <= edit.region.start < edit.region.stop <= n_frames
    low, high = sorted(min(max(edge, 0), n_frames) for edge in (start, stop))
    assert abs(edit.region.start - low) <= 1
    assert abs(edit.region.stop - high) <= 1


@pytest.mark.parametrize(
    ("drag", "region"),
    [
        ((3, 7), (3, 7)),
        ((7, 3), (3, 7)),
        ((2.5, 4.5), (3, 5)),  # halves go one way
        ((3.6, 3.8), (3, 4)),  # within a frame
        ((2.6, 3.2), (2, 3)),  # mostly within one
        ((2.9, 3.4), (3, 4)),
        ((4, 4), (4, 5)),
        ((-9, -5), (0, 1)),
        ((20, 30), (9, 10)),
        ((-math.inf, math.inf), (0, 10)),
    ],
)
def test_drags(drag, region):
    edit = edit_of("." * 10)
    edit.set_region(*drag)
    assert edit.region == Stretch(*region)


def test_a_region_is_set_by_its_edges():
    edit = edit_of("." * 10)
    edit.region_edge("start", 4)
    assert edit.region == (4, 10)
    edit.region_edge("stop", 6)
    assert edit.region == (4, 7)
    edit.region_edge("start", 6)
    assert edit.region == (6, 7)
    edit.region_edge("start", 8)
    assert edit.region == (8, 9)
    edit.region_edge("stop", 2)
    assert edit.region == (2, 3)
    edit.clear_region()
    edit.region_edge("stop", 6)
    assert edit.region == (0, 7)
    edit.region_edge("start", 99)
    assert edit.region == (9, 10)
    edit.region_edge("stop", -99)
    assert edit.region == (0, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda edit: edit.set_region(math.nan, 3), "start: expected a frame, but got nan"),
        (lambda edit: edit.set_region(3, math.nan), "stop: expected a frame, but got nan"),
        (lambda edit: edit.region_edge("end", 3), "which: expected 'start' or 'stop'"),
        (lambda edit: edit.region_edge("start", math.nan), "frame: expected a frame, but got nan"),
        (lambda edit: edit.move_edge(0, 1, math.nan), "to: expected a frame, but got nan"),
        (lambda edit: edit.mark(2), "value: expected 1, 0 or -1, but got 2"),
        (lambda edit: edit.mark(None), "value: expected 1, 0 or -1, but got None"),
        (lambda edit: edit.bouts(0, 2), "value: expected 1, 0 or -1, but got 2"),
        (lambda edit: edit.next_edge(0, 0), "step: expected"),
        (lambda edit: edit.select("run"), r"behavior: expected one of \['lift', 'grab'\], or"),
        (lambda edit: edit.select(2), "behavior: expected one of .* but got 2"),
        (lambda edit: edit.select(-1), "behavior: expected one of .* but got -1"),
        (lambda edit: edit.select(None), "behavior: expected one of .* but got None"),
        (lambda edit: edit.bouts(0.5), "behavior: expected one of .* but got 0.5"),
        (lambda edit: edit.reset("run"), "behavior: expected one of"),
        (lambda edit: edit.fill_absent(7), "behavior: expected one of"),
        (lambda edit: edit.select_bout(7, 0), "behavior: expected one of"),
        (lambda edit: edit.move_edge("run", 1, 0), "behavior: expected one of"),
    ],
)
def test_useless_arguments_are_named_and_change_nothing(call, message):
    edit = edit_of(".##.?", "...#.", seen=[True] * 5)
    with pytest.raises(ArgumentError, match=message):
        call(edit)
    assert (edit.version, edit.current, edit.region) == (0, 0, None)
    assert drawn(edit) == [".##.?", "...#."]


def test_a_double_click_selects_a_bout():
    edit = edit_of(".....", "##.#?")
    assert edit.select_bout("grab", 1)
    assert (edit.current, edit.region) == (1, (0, 2))
    assert edit.select_bout(1, 3)
    assert edit.region == (3, 4)
    assert all(type(edge) is int for edge in edit.region)
    for frame in (2, 4, -1, 5):
        assert not edit.select_bout(1, frame)
    assert not edit.select_bout(0, 0)
    assert (edit.current, edit.region) == (1, (3, 4))


@given(mask=masks, frame=st.integers(-2, 14), step=st.sampled_from([-3, -2, -1, 1, 2, 3]))
def test_edges_are_the_first_and_last_frames_of_bouts(mask, frame, step):
    edit = Edit(mask, NAMES[: mask.shape[1]])
    edit.cycle(-1)
    occurs = [False, *(mask[:, -1] == 1).tolist(), False]
    shown = [f for f in range(len(mask)) if occurs[f + 1] and not (occurs[f] and occurs[f + 2])]
    beyond = [f for f in shown if (f > frame if step > 0 else f < frame)]
    if step < 0:
        beyond.reverse()
    expected = beyond[abs(step) - 1] if len(beyond) >= abs(step) else None
    found = edit.next_edge(frame, step)
    assert found == expected
    assert type(found) in (int, type(None))


def test_edges_are_those_of_the_current_behavior():
    edit = edit_of("..###.#.", "#.......")
    assert [edit.next_edge(frame, 1) for frame in (0, 2, 4, 6)] == [2, 4, 6, None]
    assert [edit.next_edge(frame, -1) for frame in (7, 6, 4, 2)] == [6, 4, 2, None]
    edit.select("grab")
    assert edit.next_edge(5, -1) == 0


# ------------------------------------------------------------------ edits


def test_marking_sets_the_region_of_the_current_behavior():
    edit = edit_of(".....", "?????", "#####")
    edit.set_region(1, 3)
    edit.select("grab")
    assert edit.mark(1) == (1,)
    assert drawn(edit) == [".....", "?##??", "#####"]
    edit.cycle(1)
    assert edit.mark(0) == (2,)
    edit.cycle(1)
    assert edit.mark(-1) == (0,)
    assert drawn(edit) == [".??..", "?##??", "#..##"]
    assert edit.version == 3
    assert edit.is_changed


def test_what_changes_nothing_leaves_no_trace():
    edit = edit_of("##..", "....", seen=[True] * 4)
    edit.set_region(0, 2)
    edit.mark(0)
    edit.undo()
    assert edit.mark(1) == edit.assign(edit.mask) == edit.reset() == edit.fill_absent() == ()
    assert edit.move_edge(0, 0, 0) == edit.move_edge(0, 2, 2) == ()
    assert edit.version == 2
    assert not edit.can_undo
    assert edit.can_redo
    assert edit.redo() == (0,)
    assert drawn(edit) == ["....", "...."]


def test_a_new_edit_drops_what_was_undone():
    edit = edit_of("....")
    edit.set_region(0, 1)
    edit.mark(1)
    edit.undo()
    edit.mark(-1)
    assert not edit.can_redo
    assert edit.redo() == ()
    assert drawn(edit) == ["?..."]


def test_undo_goes_back_across_resets():
    edit = edit_of("....", "####")
    edit.set_region(0, 2)
    edit.mark(1)
    edit.select(1)
    edit.mark(0)
    assert edit.reset("grab") == (1,)
    assert drawn(edit) == ["##..", "####"]
    assert edit.undo() == (1,)
    assert edit.reset() == (0, 1)
    assert not edit.is_changed
    assert edit.undo() == (0, 1)
    assert drawn(edit) == ["##..", "..##"]
    assert (edit.undo(), edit.undo(), edit.undo()) == ((1,), (0,), ())
    assert not edit.is_changed
    assert (edit.redo(), edit.redo(), edit.redo(), edit.redo()) == ((0,), (1,), (0, 1), ())
    assert not edit.is_changed
    assert edit.version == 11


def test_undo_leaves_the_selection_and_what_was_seen():
    edit = edit_of("?????", "?????")
    edit.set_region(0, 2)
    edit.mark(1)
    edit.watch(0, 4)
    edit.select(1)
    edit.set_region(2, 3)
    edit.undo()
    assert (edit.current, edit.region, edit.seen_stretches()) == (1, (2, 3), [0, 4])


@given(mask=masks, data=st.data())
def test_a_mask_may_be_made_of_the_one_it_replaces(mask, data):
    edit = Edit(mask, NAMES[: mask.shape[1]])
    order = np.array(data.draw(st.permutations(range(mask.shape[1]))))
    edit.assign(edit.mask[::-1, ::-1])
    np.testing.assert_array_equal(edit.mask, mask[::-1, ::-1])
    edit.assign(edit.mask[:, order])
    np.testing.assert_array_equal(edit.mask, mask[::-1, ::-1][:, order])


@pytest.mark.parametrize(
    ("before", "edge", "to", "after"),
    [
        ("..###...", 2, 0, "#####..."),  # grows to the left
        ("..###...", 5, 7, "..#####."),  # to the right
        ("..###???", 5, 7, "..#####?"),  # over what is unlabelled
        ("..###...", 5, 99, "..######"),  # not beyond the trial
        ("..###...", 2, -9, "#####..."),
        ("..###...", 5, 6.6, "..#####."),  # rounded
        ("#.###.#.", 5, 7, "#.#####."),  # swallows a bout
        ("#.###.##", 5, 7, "#.######"),  # joins what it reaches into
        ("#.###.##", 5, 6, "#.######"),  # joins what it touches
        ("#.###.#.", 2, 1, "#####.#."),
        ("..###...", 2, 3, "...##..."),  # shrinks from the left
        ("..###...", 5, 3, "..#....."),  # from the right
        ("??###???", 2, 4, "??..#???"),  # what shrinks leaves absent
        ("??###???", 5, 2, "??...???"),  # onto its other edge: goes
        ("??###???", 2, 5, "??...???"),
        ("#?###?##", 5, 0, "#?...?##"),  # past it: goes, and nothing beyond is touched
        ("#?###?##", 2, 8, "#?...?##"),
        ("########", 8, 3, "###....."),  # an edge may be the trial's
        ("########", 0, 3, "...#####"),
    ],
)
def test_edges_of_bouts_are_dragged(before, edge, to, after):
    edit = edit_of(before.replace("#", "."), before)
    edit.set_region(1, 2)
    assert edit.move_edge("grab", edge, to) == (1,)
    assert drawn(edit)[1] == after
    assert (edit.current, edit.region) == (0, (1, 2))
    assert edit.undo() == (1,)
    assert drawn(edit)[1] == before


@pytest.mark.parametrize("edge", [-1, 0, 1, 3, 6, 8, 2.5])
def test_what_is_no_edge_cannot_be_dragged(edge):
    edit = edit_of("..##?##")
    with pytest.raises(ArgumentError, match="edge: expected a frame where a bout of 'lift'"):
        edit.move_edge(0, edge, 5)
    assert not edit.can_undo


def test_the_rest_of_what_was_watched_becomes_absent():
    edit = edit_of("?#????", "??????", "......", seen=[True, False, False, False, False, False])
    assert edit.watch(0, 3)
    assert not edit.watch(1, 3)
    assert not edit.watch(4, 4)
    assert edit.watch(5, 99)
    assert edit.seen_stretches() == [0, 3, 5, 6]
    assert edit.version == 0
    assert edit.fill_absent() == (0, 1)
    assert drawn(edit) == [".#.??.", "...??.", "......"]
    assert edit.version == 1
    assert edit.undo() == (0, 1)
    assert edit.fill_absent("grab") == (1,)
    assert drawn(edit) == ["?#????", "...??.", "......"]


def test_frames_before_the_trial_are_not_its_last_ones():
    edit = edit_of("....")
    assert not edit.watch(-3, -1)
    assert edit.watch(-3, 1)
    assert edit.seen_stretches() == [0, 1]


def test_what_leaves_is_plain_python():
    edit = edit_of("##.?", "....")
    edit.set_region(np.float32(0.2), np.int64(3))
    edit.select(np.int64(1))
    edit.watch(0, 2)
    found = [*edit.mark(1), *edit.region, edit.current, edit.version,
             *edit.bouts(0), *edit.bouts(0, -1), *edit.seen_stretches()]  # fmt: skip
    assert {type(value) for value in found} == {int}
    flags = (edit.is_changed, edit.can_undo, edit.can_redo, edit.watch(0, 9))
    assert {type(flag) for flag in flags} == {bool}


# ------------------------------------------------------------------ long trials

LONG = 100_000


def long_trial(bout: int = 10) -> Edit:
    random = np.random.default_rng(0)
    mask = random.integers(-1, 2, (LONG // bout, 6), dtype=np.int8).repeat(bout, axis=0)
    return Edit(mask, list("abcdef"))


def test_a_long_trial_is_marked_in_no_time():
    edit = long_trial()
    edit.set_region(0, LONG)
    took = []
    for number in range(20):
        start = time.perf_counter()
        edit.mark(number % 2)
        took.append(time.perf_counter() - start)
    assert edit.version == 20
    # The quickest, for other processes may hold up any of them.
    assert min(took) < 1e-3


@pytest.mark.parametrize("length", [300, LONG])
def test_thousands_of_edits_of_a_long_trial_are_small(length):
    edit = long_trial()
    starts = np.random.default_rng(1).integers(0, LONG - length + 1, 3000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number, start in enumerate(starts.tolist()):
            edit.cycle(1)
            edit.set_region(start, start + length)
            edit.mark(number // 6 % 3 - 1)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert edit.version > 2900
    # Whole masks would be 1.8 GB.
    assert grown < 4e6
    while edit.can_undo:
        edit.undo()
    assert not edit.is_changed


def test_noise_is_kept_as_it_is():
    edit = long_trial(bout=1)
    random = np.random.default_rng(2)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        edit.assign(random.integers(-1, 2, (LONG, 6)))
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 1.1 * LONG * 6
    assert edit.undo() == tuple(range(6))
    assert not edit.is_changed


def test_import_is_light():
    code = (
        "import soupxr.dashboard.edit, sys; "
        "heavy = {'panel', 'bokeh', 'holoviews', 'torch'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
