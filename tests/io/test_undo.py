"""Steps that are undone where one fails."""

from __future__ import annotations

import logging

import pytest

from soupxr.io.undo import all_or_nothing


class Full(Exception):
    """What the disk says."""


def fail(undo):
    """Do what these undo, and fail."""

    def work():
        with all_or_nothing() as steps:
            steps += undo
            raise Full

    with pytest.raises(Full):
        work()


def test_what_succeeds_is_not_undone():
    undone = []
    with all_or_nothing() as steps:
        steps.append(lambda: undone.append(1))
    assert undone == []


def test_the_last_step_is_undone_first():
    undone = []
    fail([lambda: undone.append(1), lambda: undone.append(2)])
    assert undone == [2, 1]


def test_a_step_waits_for_what_another_gives_back():
    undone = []

    def needs_room():
        if not undone:
            raise OSError("No space left on device")
        undone.append("needs room")

    fail([lambda: undone.append("gives room"), needs_room])
    assert undone == ["gives room", "needs room"]


def test_a_step_that_cannot_be_undone_stops_no_other_and_is_told(caplog):
    undone = []

    def broken():
        raise ValueError("what a bug says")

    with caplog.at_level(logging.WARNING):
        fail([lambda: undone.append(1), broken])
    assert undone == [1]
    assert "could not be undone: what a bug says" in caplog.text
