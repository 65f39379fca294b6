"""Pictures of a selection's ethograms: every bout at its time, trials in their places."""

from __future__ import annotations

import subprocess
import sys
import warnings
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from itertools import pairwise

import holoviews as hv
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib import image
from results import annotate, put_result

import soupxr as sx
from soupxr.bouts import mask_to_bouts
from soupxr.dashboard.ethogram import behavior_colors, save_ethogram
from soupxr.dashboard.picture import draw
from soupxr.dashboard.plots import plot_ethogram
from soupxr.dashboard.sheet import Clock, TimeAxis
from soupxr.dashboard.stack import Stacked, stack_sheet
from soupxr.dataset import store_of
from soupxr.errors import ArgumentError, SoupWarning
from soupxr.ingest import TrialRow
from soupxr.modes import BEHAVIORS
from soupxr.store import add_trials

FRAMES = 100


def mask(n_frames=FRAMES, **bouts):
    values = np.zeros((n_frames, len(BEHAVIORS)), np.int8)
    for behavior, stretches in bouts.items():
        for start, stop in stretches:
            values[start:stop, BEHAVIORS.index(behavior)] = 1
    return values


def made(folder, trials, fps=200.0, n_frames=FRAMES):
    """A store of trials without videos, some with ethograms of the mode fast."""
    ds = sx.create(folder / "reach.zarr", data_root=folder)
    rates = fps if isinstance(fps, list) else [fps] * len(trials)
    rows = []
    for key, rate in zip(trials, rates, strict=True):
        animal, session, trial_id = key.split("/")
        rows.append(TrialRow(animal, session, int(trial_id), ("a", "b"), n_frames, rate))
    add_trials(ds.attrs["soupxr_store"], rows)
    ds = sx.open(folder / "reach.zarr")
    for key, labels in trials.items():
        if labels is not None:
            thresholds = [0.1 * (k + 1) for k in range(len(BEHAVIORS))]
            probability = labels.astype(np.float32)
            put_result(ds, key, probability, thresholds=thresholds, minimum_bout=0)
    return sx.open(folder / "reach.zarr")


@pytest.fixture
def new(tmp_path):
    return lambda trials, **options: made(tmp_path, trials, **options)


def one(ds, key):
    animal, session, trial_id = key.split("/")
    return ds.sel(animal=animal, session=session, trial_id=int(trial_id))


def bars(picture):
    """Behavior, trial, time of start and stop (s) and their frames, of every box."""
    found = []
    for element in picture:
        if "behavior" in element.dimensions(label=True):
            names = ("behavior", "row", "start", "stop", "first", "end")
            columns = [element[name] for name in names]
            for behavior, row, *times in zip(*columns, strict=True):
                found.append((str(behavior), str(row), *(round(float(t), 9) for t in times)))
    return sorted(found)


def heights(picture):
    """Lowest and highest place of each trial's bars."""
    found = {}
    for element in picture:
        if "behavior" in element.dimensions(label=True):
            for row, low, high in zip(*(element[n] for n in ("row", "bottom", "top")), strict=True):
                old = found.get(row, (np.inf, -np.inf))
                found[row] = (min(old[0], low), max(old[1], high))
    return found


def options(picture):
    return hv.Store.lookup_options("bokeh", picture, "plot").kwargs


def names(picture):
    """What stands beside the lanes, from top to bottom."""
    return [name for _, name in sorted(options(picture)["yticks"], reverse=True)]


# ------------------------------------------------------------------ times


def test_bars_of_one_trial_stand_at_their_seconds(new):
    ds = new({"M1/S1/1": mask(grab=[(20, 50)], chew=[(60, 61), (99, 100)])})
    picture = plot_ethogram(ds)
    assert bars(picture) == [
        ("chew", "fast", 0.3, 0.305, 60, 61),
        ("chew", "fast", 0.495, 0.5, 99, 100),
        ("grab", "fast", 0.1, 0.25, 20, 50),
    ]
    assert options(picture)["xlim"] == (0.0, 0.5)
    assert options(picture)["title"] == "M1/S1/1 · fast"
    figure = hv.render(picture, backend="bokeh")
    above = figure.extra_x_ranges["above"]
    assert (above.start, above.end) == (0, 100)
    assert [axis.axis_label for axis in figure.xaxis] == ["frame", "time (s)"]


@settings(max_examples=20)
@given(
    hnp.arrays(np.int8, st.tuples(st.integers(1, 30), st.just(2)), elements=st.integers(-1, 1)),
    st.floats(1, 1000),
    st.integers(0, 29),
)
def test_every_bout_of_a_stack_is_a_bar_at_its_time(values, fps, zero):
    clock = Clock(fps, -zero / fps, 1 / fps)
    axis = TimeAxis(clock.at(0), clock.at(len(values)))
    trials = [Stacked(key, key, None, values, None, clock) for key in ("a", "b")]
    picture = draw(stack_sheet(trials, behavior_colors(["grab", "chew"]), axis, (), "unknown"), "")
    expected = [
        (name + more, key, (start - zero) / fps, (stop - zero) / fps, start, stop)
        for key in ("a", "b")
        for column, name in enumerate(("grab", "chew"))
        for value, more in ((1, ""), (-1, ": unknown"))
        for start, stop in mask_to_bouts(values[:, column] == value)
    ]
    found = bars(picture)
    assert [bar[:2] + bar[4:] for bar in found] == sorted(b[:2] + b[4:] for b in expected)
    for bar, other in zip(found, sorted(expected, key=lambda b: (*b[:2], b[4])), strict=True):
        assert bar[2:4] == pytest.approx(other[2:4])


def test_time_0_is_the_first_frame_of_a_behavior(new):
    ds = new(
        {
            "M1/S1/1": mask(lift=[(0, 10)], grab=[(20, 50), (70, 80)]),
            "M1/S1/2": mask(grab=[(80, 81)]),
        }
    )
    picture = plot_ethogram(ds, align="grab")
    assert bars(picture) == [
        ("grab", "M1/S1/1", 0.0, 0.15, 20, 50),
        ("grab", "M1/S1/1", 0.25, 0.3, 70, 80),
        ("grab", "M1/S1/2", 0.0, 0.005, 80, 81),
        ("lift", "M1/S1/1", -0.1, -0.05, 0, 10),
    ]
    assert options(picture)["xlim"] == (-0.4, 0.4)
    figure = hv.render(picture, backend="bokeh")
    labels = [axis.axis_label for axis in figure.xaxis]
    assert labels == ["frame from the first grab", "time from the first grab (s)"]
    above = figure.extra_x_ranges["above"]
    assert (above.start, above.end) == pytest.approx((-80, 80))


def test_trials_without_the_behavior_are_left_out_and_told(new):
    grabs = {f"M1/S1/{n}": mask(grab=[(n, n + 5)]) for n in range(3)}
    others = {f"M1/S1/{n}": mask(lift=[(1, 5)]) for n in range(3, 9)} | {"M1/S1/9": None}
    with pytest.warns(SoupWarning, match=r"without grab are left out:\n  - M1/S1/3\n(.*\n)*.*2 m"):
        picture = plot_ethogram(new(grabs | others), align="grab")
    assert options(picture)["title"] == "fast · 3 trials, 7 without grab left out"
    assert {bar[1] for bar in bars(picture)} == set(grabs)


def test_a_behavior_that_never_occurs_aligns_nothing(new):
    ds = new({"M1/S1/1": mask(lift=[(1, 5)])})
    with pytest.raises(ArgumentError, match="align: expected a behavior that occurs, but got 'gra"):
        plot_ethogram(ds, align="grab")


def test_rates_may_differ(new):
    trials = {"M1/S1/1": mask(grab=[(20, 50)]), "M1/S1/2": mask(grab=[(20, 50)])}
    picture = plot_ethogram(new(trials, fps=[200.0, 100.0]))
    assert [bar[2:4] for bar in bars(picture)] == [(0.1, 0.25), (0.2, 0.5)]
    assert options(picture)["xlim"] == (0.0, 1.0)
    # There is no one frame at a time, so no axis of frames.
    assert [a.axis_label for a in hv.render(picture, backend="bokeh").xaxis] == ["time (s)"]


# ------------------------------------------------------------------ places


def test_trials_stand_below_one_another_in_the_order_of_the_selection(new):
    ds = new({f"M1/S1/{n}": mask(lift=[(1, 9)], chew=[(20, 50)]) for n in (1, 2, 3)})
    picture = plot_ethogram(ds.isel(trial=[2, 0, 1]))
    order = ["M1/S1/3", "M1/S1/1", "M1/S1/2"]
    assert names(picture) == order
    places = heights(picture)
    ticks = {name: at for at, name in options(picture)["yticks"]}
    for upper, lower in pairwise(order):
        assert places[upper][0] > places[lower][1]
    assert all(places[key][0] < ticks[key] < places[key][1] for key in order)


def test_animals_are_parted_and_named(new):
    keys = ["M1/S1/1", "M2/S1/1", "M1/S2/2", "M2/S1/3", "M1/S1/4"]
    ds = new({key: mask(lift=[(1, 9)], chew=[(20, 50)]) for key in keys})
    picture = plot_ethogram(ds.isel(trial=[1, 0, 2, 3, 4]), by="animal")
    assert names(picture) == [
        "M2 · 2 trials", "S1/1", "S1/3", "M1 · 3 trials", "S1/1", "S2/2", "S1/4",
    ]  # fmt: skip
    places = heights(picture)
    assert min(places["M2/S1/1"][0], places["M2/S1/3"][0]) > places["M1/S1/1"][1]
    parted = plot_ethogram(ds, by="session")
    assert [name for name in names(parted) if "·" in name] == [
        "M1/S1 · 2 trials", "M2/S1 · 2 trials", "M1/S2 · 1 trial",
    ]  # fmt: skip


@pytest.mark.parametrize("count", [2, 20, 200, 500])
def test_any_number_of_trials_fits_and_no_bar_vanishes(count):
    clock = Clock(200.0, 0.0, 1 / 200)
    labels = mask(**{name: [(9 * k, 9 * k + 12)] for k, name in enumerate(BEHAVIORS)})
    trials = [
        Stacked(f"M{k % 3}/S1/{k}", f"S1/{k}", group, labels, None, clock)
        for k, group in enumerate(sorted(f"M{k % 3}" for k in range(count)))
    ]
    sheet = stack_sheet(trials, behavior_colors(BEHAVIORS), TimeAxis(0, 0.5), (), "")
    assert sheet.height < 3200
    assert len(sheet.bands) == count * len(BEHAVIORS)
    assert min(band.top - band.bottom for band in sheet.bands) > 2
    tops = [band.top for band in sheet.bands]
    assert tops == sorted(tops, reverse=True)
    assert max(tops) <= sheet.height
    assert min(band.bottom for band in sheet.bands) >= -1e-9
    spots = sorted(at for at, _ in sheet.ticks)
    assert min(np.diff(spots)) > 9
    assert {f"M{k}" for k in range(min(count, 3))} <= {
        name.split(" ")[0] for _, name in sheet.ticks
    }


def test_behaviors_can_be_selected(new):
    ds = new({"M1/S1/1": mask(lift=[(1, 9)], grab=[(5, 9)], chew=[(20, 50)])})
    assert names(plot_ethogram(ds.sel(behavior=["chew", "lift"]))) == ["chew", "lift"]
    picture = plot_ethogram(ds.sel(behavior="chew"), align="grab")
    assert bars(picture) == [("chew", "fast", 0.075, 0.225, 20, 50)]


# ------------------------------------------------------------------ what is drawn


def test_probabilities_stand_above_the_bars_with_their_thresholds(new):
    labels = mask(grab=[(20, 50)])
    ds = new({"M1/S1/1": labels})
    curves = [e for e in plot_ethogram(ds, probability=True) if type(e) is hv.Curve]
    lines = [curve for curve in curves if len(curve) == FRAMES]
    rules = [curve for curve in curves if len(curve) == 2]
    assert len(lines) == len(rules) == len(BEHAVIORS)
    grab = lines[BEHAVIORS.index("grab")]
    np.testing.assert_allclose(grab["time"], (np.arange(FRAMES) + 0.5) / 200)
    floor, rise = grab["height"].min(), np.ptp(grab["height"])
    np.testing.assert_allclose((grab["height"] - floor) / rise, labels[:, 2])
    assert (rules[2]["height"] - floor) / rise == pytest.approx([0.3, 0.3])
    assert not [e for e in plot_ethogram(ds) if type(e) is hv.Curve]


def test_a_damaged_provenance_is_told_where_thresholds_are_drawn(new):
    ds = new({"M1/S1/1": mask(grab=[(20, 50)])})
    store_of(ds).arrays["provenance"][0, 0] = '{"sequence": 3}'
    with pytest.raises(sx.SoupError, match="check"):
        plot_ethogram(ds, probability=True)
    assert bars(plot_ethogram(ds)) == [("grab", "fast", 0.1, 0.25, 20, 50)]


def test_a_trial_that_is_not_inferred_says_so(new):
    ds = new({"M1/S1/1": None, "M1/S1/2": mask(lift=[(0, 5)])})
    alone = plot_ethogram(one(ds, "M1/S1/1"), mode="fast", probability=True)
    assert options(alone)["title"] == "M1/S1/1 · fast: not inferred yet"
    assert {bar[0] for bar in bars(alone)} == {f"{name}: not inferred" for name in BEHAVIORS}
    both = plot_ethogram(ds)
    assert options(both)["title"] == "fast · 2 trials, 1 not inferred yet"
    assert ("lift", "M1/S1/2", 0.0, 0.025, 0, 5) in bars(both)


def test_the_labels_of_a_person_or_below_an_ethogram_as_truth(new):
    ds = new({"M1/S1/1": mask(grab=[(20, 50)]), "M1/S1/2": mask(grab=[(20, 50)])})
    known = mask(grab=[(22, 48)])
    known[90:] = -1
    ds = annotate(ds, "M1/S1/1", known, annotator="Ana")
    alone = plot_ethogram(one(ds, "M1/S1/1"), truth="Ana")
    assert names(alone)[:2] == ["lift · fast", "Ana"]
    assert ("grab", "Ana", 0.11, 0.24, 22, 48) in bars(alone)
    both = plot_ethogram(ds, truth="Ana")
    assert [bar[1] for bar in bars(both) if bar[0] == "grab"] == [
        "M1/S1/1", "M1/S1/1, truth", "M1/S1/2",
    ]  # fmt: skip
    hers = plot_ethogram(one(ds, "M1/S1/1"), annotator="Ana")
    assert ("grab", "Ana", 0.11, 0.24, 22, 48) in bars(hers)
    assert ("lift: not labelled", "Ana", 0.45, 0.5, 90, 100) in bars(hers)
    aligned = plot_ethogram(ds, annotator="Ana", align="start")
    assert options(aligned)["title"] == "Ana · 2 trials, 1 not labelled yet"


def test_labels_are_not_their_own_truth(new):
    ds = annotate(new({"M1/S1/1": None}), "M1/S1/1", mask(grab=[(2, 5)]), "Ana")
    with pytest.raises(ArgumentError, match="truth: expected"):
        plot_ethogram(ds, annotator="Ana", truth="Ana")


def test_without_ethograms_the_only_annotator_is_drawn(new):
    ds = new({"M1/S1/1": None})
    with pytest.raises(ArgumentError, match=r"plot_ethogram: expected mode= or annotator=.*infer"):
        plot_ethogram(ds)
    ds = annotate(ds, "M1/S1/1", mask(grab=[(20, 50)]), annotator="Ana")
    assert ("grab", "Ana", 0.1, 0.25, 20, 50) in bars(plot_ethogram(ds))
    ds = annotate(ds, "M1/S1/1", mask(), annotator="Ben")
    with pytest.raises(ArgumentError, match=r"annotators \['Ana', 'Ben'\]"):
        plot_ethogram(ds)


def test_more_trials_than_the_limit_are_told(new):
    ds = new({f"M1/S1/{n}": mask(grab=[(n, n + 5)]) for n in range(5)})
    with pytest.warns(SoupWarning, match=r"first 3 of 5 trials .* limit=5"):
        picture = plot_ethogram(ds, limit=3)
    assert names(picture) == ["M1/S1/0", "M1/S1/1", "M1/S1/2"]
    assert options(picture)["title"] == "fast · 3 trials, the first 3 of 5"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(names(plot_ethogram(ds, limit=5))) == 5


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("mode", {"mode": "quick"}), ("annotator", {"annotator": "Zoe"}),
        ("plot_ethogram", {"mode": "fast", "annotator": "Ana"}), ("truth", {"truth": "Zoe"}),
        ("align", {"align": "sneeze"}), ("align", {"align": None}), ("by", {"by": "weekday"}),
        ("limit", {"limit": 0}), ("limit", {"limit": None}), ("limit", {"limit": True}),
        ("probability", {"probability": True}),
    ],
)  # fmt: skip
def test_useless_arguments_are_named(new, argument, arguments):
    ds = new({"M1/S1/1": mask(grab=[(1, 5)]), "M1/S1/2": None})
    with pytest.raises(ArgumentError, match=f"{argument}: expected"):
        plot_ethogram(ds, **arguments)


def test_people_give_no_probabilities(new):
    ds = annotate(new({"M1/S1/1": None}), "M1/S1/1", mask(), annotator="Ana")
    with pytest.raises(ArgumentError, match="probability: expected a mode's ethogram"):
        plot_ethogram(ds, probability=True)


def test_an_empty_selection_is_refused(new):
    with pytest.raises(ArgumentError, match="a selection with trials"):
        plot_ethogram(new({"M1/S1/1": None}).isel(trial=[]))


# ------------------------------------------------------------------ saving


@pytest.fixture(scope="module", params=["one", "many"])
def picture(request, tmp_path_factory):
    labels = mask(**{name: [(15 * k, 15 * k + 12)] for k, name in enumerate(BEHAVIORS)})
    trials = {f"M$_1$ $$x & <b>/S1/{n}": labels for n in range(1 if request.param == "one" else 4)}
    ds = made(tmp_path_factory.mktemp("picture"), trials)
    if request.param == "one":
        return plot_ethogram(ds, probability=True, align="grab")
    return plot_ethogram(ds, by="animal", align="grab")


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.names = set()

    def handle_starttag(self, tag, attributes):
        self.names.add(tag)


def test_holoviews_saves_an_html_page(tmp_path, picture):
    hv.save(picture, tmp_path / "e.html", backend="bokeh")
    page = (tmp_path / "e.html").read_text()
    assert "HoverTool" in page
    assert "M$_1$ $$x" in page
    tags = _Tags()
    tags.feed(page)
    assert "script" in tags.names
    assert "b" not in tags.names


def test_holoviews_saves_a_png(tmp_path, picture):
    hv.save(picture, tmp_path / "e.png", backend="matplotlib")
    pixels = image.imread(tmp_path / "e.png")[..., :3]
    for color in behavior_colors(BEHAVIORS).values():
        rgb = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        assert (np.abs(pixels - rgb).max(axis=-1) < 0.02).sum() > 50


def test_holoviews_saves_an_svg(tmp_path, picture):
    hv.save(picture, tmp_path / "e.svg", backend="matplotlib")
    tree = ElementTree.parse(tmp_path / "e.svg")
    text = (tmp_path / "e.svg").read_text()
    for color in behavior_colors(BEHAVIORS).values():
        assert color.lower() in text.lower()
    assert tree.getroot().tag.endswith("svg")
    # Text is drawn as shapes; comments say which. Two dollars and one are no mathematics.
    assert "<!-- M$_1$ $$x &amp; &lt;b&gt;" in text


@pytest.mark.parametrize("ending", ["html", "png", "svg", "pdf"])
def test_our_own_way_saves_it_too(tmp_path, picture, ending):
    assert save_ethogram(picture, tmp_path / f"e.{ending}").stat().st_size > 1000


def test_no_torch_is_needed():
    code = "import soupxr.dashboard.plots, sys; assert not {'torch', 'panel'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
