"""Pictures of evaluations: what they show, and that they are whole files."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser

import holoviews as hv
import numpy as np
import param
import pytest
import xarray as xr
from matplotlib import image, pyplot, rcParams
from results import labels, probabilities

from soupxr.dashboard import scores as module
from soupxr.dashboard.ethogram import behavior_colors
from soupxr.errors import ArgumentError
from soupxr.evaluation.scoring import ScoredTrial, scores_dataset
from soupxr.modes import BEHAVIORS

ATTRS = {"prediction": "fast", "annotator": "human", "on": "unseen", "n_trials": 2}


def evaluation(behaviors=BEHAVIORS, by=None, people=False, empty=()):
    trials = []
    for seed, animal in enumerate(("M1", "M2")):
        truth = labels(120, seed, behaviors)
        for name in empty:
            truth[:, behaviors.index(name)] = 0
        probability = probabilities(truth, seed, 1.5)
        for name in empty:
            probability[:, behaviors.index(name)] = 0.1
        said = (probability > 0.5).astype(np.int8)
        known = (None, None) if people else (probability, (0.5,) * len(behaviors))
        trials.append(ScoredTrial(animal, "S1", f"{animal}/S1/1", 500.0, truth, said, *known))
    return scores_dataset(trials, list(behaviors), by=by, attrs=ATTRS)


@pytest.fixture(autouse=True)
def every_hook_works(caplog):
    """HoloViews tells of a hook that failed, and of options it does not know, in a log alone."""
    log = param.parameterized.get_logger()
    log.addHandler(caplog.handler)
    yield
    log.removeHandler(caplog.handler)
    assert not [record.getMessage() for record in caplog.get_records("call")]


def options(panel, backend="bokeh"):
    return hv.Store.lookup_options(backend, panel, "plot").kwargs


def panels(scores):
    return list(scores.soup.plot())


def test_bars_are_the_f1_of_frames_and_of_bouts():
    scores = evaluation()
    bars = panels(scores)[0]
    drawn = {
        (str(row.behavior), str(row["of"])): (row.top, row.F1)
        for box in bars.traverse(lambda e: e, [hv.Rectangles])
        for _, row in box.dframe().iterrows()
    }
    for name in BEHAVIORS:
        one = scores.sel(behavior=name)
        assert drawn[name, "frames"] == pytest.approx((one.f1.item(),) * 2)
        assert drawn[name, "bouts"] == pytest.approx((one.bout_f1.item(),) * 2)
    assert drawn["background", "frames"][0] == pytest.approx(scores.f1_background.item())
    assert f"{scores.f1_mean.item():.2f}" in options(bars)["title"]


def test_curves_have_the_color_of_their_behavior_and_a_dot_at_the_threshold():
    scores = evaluation()
    colors = behavior_colors(BEHAVIORS)
    drawn = panels(scores)[1]
    lines = drawn.traverse(lambda e: e, [hv.Curve])
    dots = drawn.traverse(lambda e: e, [hv.Scatter])
    assert len(lines) == len(dots) == len(BEHAVIORS)
    for name, line, dot in zip(BEHAVIORS, lines, dots, strict=True):
        style = hv.Store.lookup_options("bokeh", line, "style").kwargs
        assert style["color"] == colors[name]
        one = scores.sel(behavior=name)
        at = one.sel(curve_threshold=0.5, method="nearest")
        np.testing.assert_allclose(dot.array()[0], [at.curve_recall, at.curve_precision])
        there = one.curve_precision.notnull()
        np.testing.assert_allclose(line["recall"], one.curve_recall[there])


def test_the_matrix_has_a_row_for_each_class():
    scores = evaluation()
    matrix = panels(scores)[-1]
    (drawn,) = matrix.traverse(lambda e: e, [hv.Image])
    shown = drawn.dimension_values("share", flat=False)[::-1]
    np.testing.assert_allclose(shown, scores.confusion_rate)
    texts = matrix.traverse(lambda e: e, [hv.Labels])
    assert sum(len(text) for text in texts) == 49
    place = {name: y for y, name in options(matrix)["yticks"]}
    assert place["background"] > place["lift"] > place["chew"]
    cells = {
        (round(x - 0.5), round(y + 0.5)): text
        for element in texts
        for x, y, text in element.array()
    }
    assert float(cells[3, round(place["grab"] + 0.5)]) == pytest.approx(
        scores.confusion_rate.sel({"class": "grab", "predicted_class": "grab"}).item(), abs=0.006
    )


def test_two_people_have_no_curves_and_a_missing_behavior_no_bar(tmp_path):
    assert len(panels(evaluation(people=True))) == 2
    scores = evaluation(empty=("chew", "grab"))
    bars, curves, _ = panels(scores)
    assert len(curves.traverse(lambda e: e, [hv.Curve])) == 4
    boxes = bars.traverse(lambda e: e, [hv.Rectangles])
    assert "chew" not in {str(box.dframe().behavior[0]) for box in boxes}
    for suffix in ("png", "html"):
        scores.soup.plot(tmp_path / f"empty.{suffix}")
        evaluation(people=True).soup.plot(tmp_path / f"people.{suffix}")


def test_all_colors_are_in_the_png(tmp_path):
    path = evaluation().soup.plot(tmp_path / "new" / "scores.png")
    assert path == tmp_path / "new" / "scores.png"
    pixels = image.imread(path)[..., :3]
    for color in behavior_colors(BEHAVIORS).values():
        rgb = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        assert (np.abs(pixels - rgb).max(axis=-1) < 0.01).sum() > 1000
    assert list(path.parent.iterdir()) == [path]


def test_many_behaviors_make_it_larger(tmp_path):
    many = [f"behavior_{k}" for k in range(20)]
    wide = image.imread(evaluation(many).soup.plot(tmp_path / "many.png"))
    usual = image.imread(evaluation().soup.plot(tmp_path / "six.png"))
    assert wide.shape[0] > 1.5 * usual.shape[0]
    assert wide.shape[1] > 1.5 * usual.shape[1]


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.references: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag, attributes):
        self.references += [(tag, v) for k, v in attributes if k in ("src", "href", "data")]


def test_html_fetches_nothing(tmp_path):
    page = evaluation().soup.plot(tmp_path / "scores.html").read_text()
    tags = _Tags()
    tags.feed(page)
    assert not tags.references
    assert "<title>fast against human · 2 unseen trials</title>" in page
    assert not re.findall(r"<style[^>]*>[^<]*(?:url\(|@import)", page)
    assert '"HoverTool"' in page


def test_one_group_can_be_drawn_and_several_say_how(tmp_path):
    scores = evaluation(by="animal")
    with pytest.raises(ArgumentError, match=r"plot: expected one group.*\.sel\(animal='M1'\)"):
        scores.soup.plot()
    page = scores.sel(animal="M2").soup.plot(tmp_path / "one.html").read_text()
    assert "<title>fast against human · M2</title>" in page


def test_other_datasets_and_endings_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match=r"plot: expected an evaluation.*evaluate"):
        xr.Dataset({"f1": ("behavior", [1.0])}).soup.plot()
    with pytest.raises(ArgumentError, match=r"path: expected a name that ends in \.png"):
        evaluation().soup.plot(tmp_path / "scores.gif")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(tmp_path, monkeypatch):
    path = evaluation().soup.plot(tmp_path / "scores.svg")
    before = path.read_bytes()

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(module.Path, "replace", fail)
    with pytest.raises(OSError, match="disk is full"):
        evaluation(people=True).soup.plot(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_global_state_is_left_as_it_was(tmp_path):
    before = hv.Store.current_backend, dict(rcParams), pyplot.isinteractive()
    for name in ("s.png", "s.html"):
        evaluation().soup.plot(tmp_path / name)
    evaluation().soup.plot()
    assert (hv.Store.current_backend, dict(rcParams), pyplot.isinteractive()) == before
    assert not pyplot.get_fignums()


def test_import_is_light():
    code = (
        "import soupxr.dashboard.scores, sys; "
        "heavy = {'holoviews', 'bokeh', 'matplotlib', 'panel', 'torch'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
