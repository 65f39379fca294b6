"""Kill -9 of inference, with networks that take no time and with real ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from faults import inferring
from faults.checker import assert_equal, assert_nothing_lost, holdings
from faults.killing import draw_points, rehearse, run_and_kill, run_to_the_end

pytestmark = pytest.mark.timeout(3600)  # many processes, one after the other

SEED = 20261126


@pytest.fixture(scope="session")
def unread(tmp_path_factory, film, models) -> Path:
    """A store of two trials, and what is to be done with them."""
    folder = tmp_path_factory.mktemp("unread") / "lab"
    inferring.make_lab(folder, film)
    inferring.keep_tasks(folder, models())
    return folder


@pytest.mark.parametrize(
    ("call", "n_points", "seed"),
    [
        pytest.param("infer_quickly", 6, SEED),
        pytest.param("infer_quickly", 30, SEED + 1, marks=pytest.mark.thorough),
        pytest.param("infer", 8, SEED, marks=pytest.mark.thorough),
    ],
)
def test_killed_anywhere(call, n_points, seed, unread, tmp_path):
    act = getattr(inferring, call)
    whole = Path(shutil.copytree(unread, tmp_path / "whole"))
    counts = rehearse(whole, act, whole)
    before, after = (holdings(folder / "reach.zarr") for folder in (unread, whole))
    assert len(after.results) == len(after.features) == len(inferring.TRIALS)
    for number, point in enumerate(draw_points(counts, n_points, seed)):
        folder = tmp_path / str(number)
        run_and_kill(unread, folder, point, act)
        assert_nothing_lost(holdings(folder / "reach.zarr"), before, after)
        run_to_the_end(folder, act, folder)
        assert_equal(holdings(folder / "reach.zarr"), after)
        shutil.rmtree(folder)


@pytest.mark.thorough
def test_killed_while_results_are_made_anew(unread, tmp_path):
    """Each trial has its old or its new result, and all features are kept."""
    done = Path(shutil.copytree(unread, tmp_path / "done"))
    run_to_the_end(done, inferring.infer, done)
    whole = Path(shutil.copytree(done, tmp_path / "whole"))
    counts = rehearse(whole, inferring.infer_again, whole)
    before, after = (holdings(folder / "reach.zarr") for folder in (done, whole))
    for number, point in enumerate(draw_points(counts, 6, SEED)):
        folder = tmp_path / str(number)
        run_and_kill(done, folder, point, inferring.infer_again)
        found = holdings(folder / "reach.zarr")
        assert_nothing_lost(found, before, after)
        run_to_the_end(folder, inferring.infer_again, folder)
        assert_equal(holdings(folder / "reach.zarr"), after)
        shutil.rmtree(folder)
