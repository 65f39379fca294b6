"""Kill -9 at points drawn from all changes that a call makes on disk.

After each, whatever was committed is there and whole, nothing half-written counts, and the same
call made again ends as if nothing had been.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from faults import calls
from faults.checker import Holdings, assert_equal, assert_nothing_lost, holdings
from faults.killing import Point, draw_points, rehearse, run_and_kill

pytestmark = pytest.mark.timeout(3600)  # many processes, one after the other

SEED = 20261126
#: Points at which each call is killed: by default, and in a thorough run.
POINTS = {
    "create": (6, 24),
    "add": (8, 30),
    "remove": (8, 30),
    "annotate_anew": (8, 24),
    "annotate_over": (6, 14),
    "thresholds": (8, 34),
    "import_others": (2, 18),
}
CASES = [pytest.param(call, few, SEED) for call, (few, _) in POINTS.items()] + [
    pytest.param(call, many, SEED + 1, marks=pytest.mark.thorough)
    for call, (_, many) in POINTS.items()
]


def read(folder: Path) -> Holdings:
    store = folder / "reach.zarr"
    return holdings(store) if store.exists() else Holdings()


@pytest.mark.parametrize(("call", "n_points", "seed"), CASES)
def test_killed_anywhere(call, n_points, seed, request, tmp_path):
    is_import = call == "import_others"
    template = request.getfixturevalue("importable" if is_import else "furnished")
    if call == "create":
        template = tmp_path / "empty"
        (template / "videos").mkdir(parents=True)
    act = getattr(calls, call)
    whole = Path(shutil.copytree(template, tmp_path / "whole"))
    counts = rehearse(whole, act, whole)
    before, after = read(template), read(whole)
    for number, point in enumerate(draw_points(counts, n_points, seed)):
        folder = tmp_path / str(number)
        run_and_kill(template, folder, point, act)
        assert_nothing_lost(read(folder), before, after)
        act(folder)
        assert_equal(read(folder), after)
        shutil.rmtree(folder)


def test_a_point_that_does_not_come_is_replaced_by_the_last(furnished, tmp_path):
    whole = Path(shutil.copytree(furnished, tmp_path / "whole"))
    calls.annotate_over(whole)
    folder = tmp_path / "store"
    run_and_kill(furnished, folder, Point(1_000_000), calls.annotate_over)
    assert_nothing_lost(read(folder), read(furnished), read(whole))
    with pytest.raises(AssertionError):
        assert_equal(read(folder), read(whole))


def test_a_victim_that_changes_nothing_is_told(furnished, tmp_path):
    with pytest.raises(AssertionError, match="outlived"):
        run_and_kill(furnished, tmp_path / "store", Point(0), calls.create)
