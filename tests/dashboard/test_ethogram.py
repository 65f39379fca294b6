"""Pictures of ethograms: every bout is there, and files need nothing but themselves."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib import image, pyplot, rcParams

from soupxr.dashboard import ethogram as module
from soupxr.dashboard.ethogram import (
    PALETTE,
    behavior_colors,
    ethogram_overview,
    ethogram_raster,
    save_ethogram,
)
from soupxr.errors import ArgumentError
from soupxr.modes import BEHAVIORS


def ethogram(n_frames: int = 100, **bouts: tuple[int, int]) -> np.ndarray:
    values = np.zeros((n_frames, len(BEHAVIORS)), np.int8)
    for behavior, (start, stop) in bouts.items():
        values[start:stop, BEHAVIORS.index(behavior)] = 1
    return values


def boxes(picture: hv.Overlay) -> list[tuple[str, str, int, int]]:
    """What hovering tells of every box: behavior, row, start, stop."""
    found = []
    for element in picture:
        if "behavior" in element.dimensions(label=True):
            columns = (element[name] for name in ("behavior", "row", "start", "stop"))
            found += [(b, r, int(x), int(y)) for b, r, x, y in zip(*columns, strict=True)]
    return sorted(found)


def lanes(picture: hv.Overlay) -> list[str]:
    """Names beside the lanes, from top to bottom."""
    ticks = hv.Store.lookup_options("bokeh", picture, "plot").kwargs["yticks"]
    return [name for _, name in sorted(ticks, reverse=True)]


def limit(picture: hv.Overlay) -> float:
    return hv.Store.lookup_options("bokeh", picture, "plot").kwargs["xlim"][1]


# ------------------------------------------------------------------ colours


def test_a_behavior_has_one_color_everywhere():
    whole = behavior_colors(BEHAVIORS)
    assert list(whole) == list(BEHAVIORS)
    assert len(set(whole.values())) == len(BEHAVIORS)
    assert behavior_colors(["chew", "lift"]) == {"chew": whole["chew"], "lift": whole["lift"]}


def test_other_behaviors_get_colors_of_their_own():
    names = [*BEHAVIORS[:3], "rearing", "grooming", "walking"]
    colors = behavior_colors(names)
    assert len(set(colors.values())) == len(names)
    assert set(behavior_colors([f"b{n}" for n in range(30)]).values()) == set(PALETTE)
    assert behavior_colors(["rearing"]) == behavior_colors(["rearing"])


# ------------------------------------------------------------------ what is drawn


@settings(max_examples=20)
@given(hnp.arrays(np.int8, st.tuples(st.integers(1, 40), st.just(6)), elements=st.integers(0, 1)))
def test_every_bout_is_a_box(values):
    expected = []
    for column, behavior in enumerate(BEHAVIORS):
        start = None
        for frame, occurs in enumerate([*values[:, column], 0]):
            if occurs and start is None:
                start = frame
            if not occurs and start is not None:
                expected.append((behavior, "ethogram", start, frame))
                start = None
    assert boxes(ethogram_raster(values)) == sorted(expected)


def test_lanes_stand_in_the_order_of_the_behaviors():
    assert lanes(ethogram_raster(ethogram(lift=(3, 9)))) == list(BEHAVIORS)


def test_boxes_stand_in_the_lane_of_their_name():
    picture = ethogram_raster(ethogram(grab=(3, 9)))
    options = hv.Store.lookup_options("bokeh", picture, "plot").kwargs
    ticks = {name: at for at, name in options["yticks"]}
    (bar,) = [e for e in picture if "behavior" in e.dimensions(label=True)]
    assert bar["bottom"][0] < ticks["grab"] < bar["top"][0]


def test_labelled_arrays_may_be_turned_and_selected():
    values = ethogram(lift=(10, 20), chew=(50, 70))
    array = xr.DataArray(
        values, dims=("frame", "behavior"), coords={"behavior": list(BEHAVIORS), "mode": "slow"}
    )
    expected = [("chew", "slow", 50, 70), ("lift", "slow", 10, 20)]
    assert boxes(ethogram_raster(array)) == expected
    assert boxes(ethogram_raster(array.transpose())) == expected
    picture = ethogram_raster(array, behaviors=["chew", "grab"])
    assert lanes(picture) == ["chew", "grab"]
    assert boxes(picture) == [("chew", "slow", 50, 70)]


def test_own_behaviors():
    values = np.eye(4, 2, dtype=bool)
    picture = ethogram_raster(values, behaviors=["rearing", "grooming"])
    assert boxes(picture) == [("grooming", "ethogram", 1, 2), ("rearing", "ethogram", 0, 1)]


def test_what_was_not_inferred_is_told_and_padding_is_left_out():
    values = ethogram(100, lift=(5, 9))
    values[20:30] = -1
    values[60:] = -1
    picture = ethogram_raster(values)
    assert limit(picture) == 60
    grey = [box for box in boxes(picture) if "not inferred" in box[0]]
    assert len(grey) == len(BEHAVIORS)
    assert {box[2:] for box in grey} == {(20, 30)}
    nothing = ethogram_raster(np.full((40, 6), -1, np.int8))
    assert limit(nothing) == 40


def test_several_modes_and_the_truth_are_rows_of_each_lane():
    picture = ethogram_raster(
        {"fast": ethogram(lift=(1, 5)), "slow": ethogram(lift=(2, 6))}, truth=ethogram(lift=(3, 7))
    )
    assert lanes(picture)[:3] == ["lift · fast", "slow", "truth"]
    assert boxes(picture) == [
        ("lift", "fast", 1, 5),
        ("lift", "slow", 2, 6),
        ("lift", "truth", 3, 7),
    ]


def test_probabilities_keep_their_peaks_however_long_the_trial():
    n_frames = 50_000
    probability = np.zeros((n_frames, 6), np.float32)
    probability[31_234, 2] = 1.0
    probability[40_000:] = np.nan
    picture = ethogram_raster(ethogram(n_frames), probability=probability, thresholds=0.5)
    curves = [e for e in picture if type(e) is hv.Curve and len(e) > 2]
    assert len(curves) == 6
    assert all(len(curve) <= 4000 for curve in curves)
    heights = [np.nanmax(curve["height"]) - np.nanmin(curve["height"]) for curve in curves]
    assert heights[2] > 20
    assert max(heights[:2] + heights[3:]) == 0
    rules = [e for e in picture if type(e) is hv.Curve and len(e) == 2]
    assert len(rules) == 6


def test_overview_stacks_trials():
    trials = {f"M1 {n}": ethogram(50 + n, lift=(n, n + 9)) for n in range(1, 11)}
    truth = {"M1 3": ethogram(70, lift=(4, 12))}
    picture = ethogram_overview(trials, truth=truth, fps=500, title="All")
    assert lanes(picture) == list(trials)
    found = boxes(picture)
    assert ("lift", "M1 3, truth", 4, 12) in found
    assert ("lift", "M1 10", 10, 19) in found
    assert len(found) == 11
    assert limit(picture) == 70


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("ethogram", {"ethogram": np.zeros((5, 4))}),
        ("ethogram", {"ethogram": np.zeros(6)}),
        ("ethogram", {"ethogram": np.full((5, 6), 2)}),
        ("ethogram", {"ethogram": np.full((5, 6), 0.5)}),
        ("ethogram", {"ethogram": {}}),
        ("ethogram", {"ethogram": {"truth": ethogram()}, "truth": ethogram()}),
        ("ethogram", {"ethogram": xr.DataArray(np.zeros((5, 6)), dims=("time", "behavior"))}),
        ("behaviors", {"behaviors": "chew"}),
        ("truth", {"truth": np.zeros((5, 4))}),
        ("probability", {"probability": np.full((100, 6), 1.5)}),
        ("thresholds", {"thresholds": [0.5, 0.5]}),
        ("thresholds", {"thresholds": 2}),
        ("fps", {"fps": 0}),
        ("backend", {"backend": "plotly"}),
    ],
)  # fmt: skip
def test_useless_arguments_are_named(argument, arguments):
    with pytest.raises(ArgumentError, match=f"{argument}: expected"):
        ethogram_raster(**({"ethogram": ethogram()} | arguments))


def test_missing_behaviors_are_named():
    array = xr.DataArray(
        np.zeros((5, 2)), dims=("frame", "behavior"), coords={"behavior": ["lift", "chew"]}
    )
    with pytest.raises(ArgumentError, match=r"the behaviors \['grab'\]"):
        ethogram_raster(array, behaviors=["lift", "grab"])


@pytest.mark.parametrize("trials", [{}, ethogram()])
def test_overview_wants_named_trials(trials):
    with pytest.raises(ArgumentError, match="ethograms: expected"):
        ethogram_overview(trials)


def test_overview_refuses_truth_of_other_trials():
    with pytest.raises(ArgumentError, match="truth: expected"):
        ethogram_overview({"a": ethogram()}, truth={"b": ethogram()})


# ------------------------------------------------------------------ saving


@pytest.fixture
def picture() -> hv.Overlay:
    values = ethogram(300, lift=(20, 60), grab=(61, 62), chew=(100, 290))
    values[70:80] = -1
    return ethogram_raster(
        values, fps=500, title="M1 · S1 · 3", probability=values.clip(0), thresholds=0.5,
        truth=ethogram(300, lift=(22, 61)),
    )  # fmt: skip


@pytest.mark.parametrize("draw", [ethogram_raster, lambda e: ethogram_overview({"a": e})])
def test_png_shows_every_color(tmp_path, draw):
    values = ethogram(600, **{b: (90 * n, 90 * n + 60) for n, b in enumerate(BEHAVIORS)})
    pixels = image.imread(save_ethogram(draw(values), tmp_path / "e.png"))[..., :3]
    for color in behavior_colors(BEHAVIORS).values():
        rgb = np.array([int(color[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        assert (np.abs(pixels - rgb).max(axis=-1) < 0.01).sum() > 200


def test_a_bout_of_one_frame_is_seen_in_a_long_trial(tmp_path):
    alone = image.imread(save_ethogram(ethogram_raster(ethogram(90_000)), tmp_path / "a.png"))
    bout = ethogram_raster(ethogram(90_000, lift=(40_000, 40_001)))
    seen = image.imread(save_ethogram(bout, tmp_path / "b.png"))
    assert (np.abs(seen - alone).max(axis=-1) > 0.3).sum() > 20


@pytest.mark.parametrize("name", ["e.png", "e.PNG", "e.svg", "e.pdf", "e.html"])
def test_saving_gives_the_path_back(tmp_path, picture, name):
    path = save_ethogram(picture, tmp_path / "new" / name)
    assert path == tmp_path / "new" / name
    begins = {".png": b"\x89PNG", ".pdf": b"%PDF", ".svg": b"<?xml", ".html": b"<!DOCTYPE html>"}
    assert path.read_bytes().lstrip().startswith(begins[path.suffix.lower()])
    assert list(path.parent.iterdir()) == [path]


class _Tags(HTMLParser):
    """What a page consists of, and what its tags refer to."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.references: list[tuple[str, str | None]] = []
        self.styles = ""

    def handle_starttag(self, tag, attributes):
        self.names.add(tag)
        self.references += [(tag, v) for k, v in attributes if k in ("src", "href", "data")]

    def handle_data(self, data):
        if self.lasttag == "style":
            self.styles += data


def test_html_fetches_nothing(tmp_path, picture):
    page = save_ethogram(picture, tmp_path / "e.html").read_text()
    tags = _Tags()
    tags.feed(page)
    assert "<title>M1 · S1 · 3</title>" in page
    assert tags.names.issuperset({"html", "body", "script", "style"})
    assert not tags.references
    assert not re.findall(r"url\(|@import", tags.styles)
    assert '"HoverTool"' in page


def test_every_ethogram_can_be_saved(tmp_path):
    empty = {"none": ethogram(), "unknown": np.full((30, 6), -1), "short": ethogram(1)}
    for name, values in empty.items():
        for suffix in ("png", "html"):
            save_ethogram(ethogram_raster(values, fps=500), tmp_path / f"{name}.{suffix}")
    save_ethogram(ethogram_overview(empty), tmp_path / "all.png")


def test_names_are_no_mathematics_and_no_markup(tmp_path):
    title = r"$M_1 $$x^2 <script src='https://example.org'></script>"
    picture = ethogram_overview({r"a$_b\q$": ethogram(lift=(1, 9))}, title=title)
    save_ethogram(picture, tmp_path / "e.png")
    tags = _Tags()
    tags.feed(save_ethogram(picture, tmp_path / "e.html").read_text())
    assert not tags.references


def test_a_failure_leaves_the_old_file(tmp_path, picture, monkeypatch):
    path = save_ethogram(picture, tmp_path / "e.html")
    before = path.read_bytes()

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(module.Path, "replace", fail)
    with pytest.raises(OSError, match="disk is full"):
        save_ethogram(ethogram_raster(ethogram()), path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_other_endings_and_other_pictures_are_refused(tmp_path, picture):
    with pytest.raises(ArgumentError, match=r"path: expected a name that ends in \.png"):
        save_ethogram(picture, tmp_path / "e.gif")
    with pytest.raises(ArgumentError, match="picture: expected"):
        save_ethogram(hv.Overlay([hv.Curve([1, 2])]), tmp_path / "e.png")
    with pytest.raises(ArgumentError, match="picture: expected"):
        save_ethogram(None, tmp_path / "e.html")


@pytest.mark.parametrize(
    ("backend", "good", "bad"), [("bokeh", "html", "png"), ("matplotlib", "png", "html")]
)
def test_a_picture_for_one_backend_is_not_saved_by_the_other(tmp_path, backend, good, bad):
    picture = ethogram_raster(ethogram(), backend=backend)
    assert save_ethogram(picture, tmp_path / f"e.{good}").exists()
    with pytest.raises(ArgumentError, match="picture: expected"):
        save_ethogram(picture, tmp_path / f"e.{bad}")


# ------------------------------------------------------------------ manners


def test_global_state_is_left_as_it_was(tmp_path):
    before = hv.Store.current_backend, dict(rcParams), pyplot.isinteractive()
    for name in ("e.png", "e.html"):
        save_ethogram(ethogram_raster(ethogram(lift=(1, 9)), fps=100), tmp_path / name)
    assert (hv.Store.current_backend, dict(rcParams), pyplot.isinteractive()) == before
    assert not pyplot.get_fignums()


def test_import_is_light():
    code = (
        "import soupxr.dashboard.ethogram, sys; "
        "heavy = {'holoviews', 'bokeh', 'matplotlib', 'panel'} & set(sys.modules); "
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
