"""What is drawn, in both backends."""

from __future__ import annotations

import holoviews as hv
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from soupxr.analysis import align, peri_event_plot, raster
from soupxr.dashboard.ethogram import behavior_colors, save_ethogram
from soupxr.errors import ArgumentError, SoupWarning


@pytest.fixture
def labels(trials):
    return trials(
        M1_S1_1={"grab": "..##.#", "chew": ".#...."},
        M2_S1_1={"grab": "#...", "chew": "...#"},
        M1_S2_1={"grab": ".#..", "chew": "...."},
    )


def bars(picture):
    """Behavior, row and seconds of every box."""
    found = []
    for element in picture:
        if "behavior" in element.dimensions(label=True):
            columns = [element[name] for name in ("behavior", "row", "start", "stop")]
            for behavior, row, *times in zip(*columns, strict=True):
                found.append((str(behavior), str(row), *(round(float(t), 9) for t in times)))
    return sorted(found)


def options(picture):
    return hv.Store.lookup_options("bokeh", picture, "plot").kwargs


def colors(*behaviors):
    return behavior_colors(behaviors).values()


def test_rows_of_trials_at_their_seconds(labels):
    picture = raster(labels, title="three")
    assert bars(picture) == [
        ("chew", "M1/S1/1", 0.1, 0.2),
        ("chew", "M2/S1/1", 0.3, 0.4),
        ("grab", "M1/S1/1", 0.2, 0.4),
        ("grab", "M1/S1/1", 0.5, 0.6),
        ("grab", "M1/S2/1", 0.1, 0.2),
        ("grab", "M2/S1/1", 0.0, 0.1),
    ]
    assert options(picture)["title"] == "three"
    assert options(picture)["xlim"] == pytest.approx((0, 0.6))


def test_rows_of_events_around_time_zero(labels):
    around = align(labels, "grab", (-0.2, 0.2))
    picture = raster(around, by="animal")
    assert ("grab", "M1/S1/1/0", 0.0, 0.2) in bars(picture)
    assert ("grab: not labelled", "M2/S1/1/0", -0.2, 0.0) in bars(picture)
    told = [name for _, name in sorted(options(picture)["yticks"], reverse=True)]
    assert told == [
        *("M1 · 3 trials", "M1/S1/1/0", "M1/S1/1/1", "M1/S2/1/0"),
        *("M2 · 1 trial", "M2/S1/1/0"),
    ]
    assert options(picture)["xlabel"] == "time from grab (s)"
    assert {row[0] for row in bars(raster(around.sel(behavior="grab")))} >= {"grab"}


def test_no_more_rows_than_the_limit(labels):
    with pytest.warns(SoupWarning, match="the first 2 of 3 rows"):
        picture = raster(labels, limit=2)
    assert {row for _, row, *_ in bars(picture)} == {"M1/S1/1", "M2/S1/1"}


def curve(picture, name):
    (found,) = [e for e in picture if isinstance(e, hv.Curve) and e.label == name]
    return found["value"]


def band(picture, place=0):
    return [e for e in picture if isinstance(e, hv.Spread)][place]["error"]


def test_means_leave_out_what_is_unlabelled(labels):
    around = align(labels, "grab", (-0.1, 0.2))
    picture = peri_event_plot(around)
    # Before the onsets: 0, 0, (unlabelled), 0. Behind them: 1, (beyond), 0, 0.
    assert curve(picture, "grab") == pytest.approx([0, 1, 1 / 3])
    assert band(picture)[2] == pytest.approx(np.std([1, 0, 0], ddof=1) / np.sqrt(3))


def test_means_of_animals_weigh_each_the_same(labels):
    around = align(labels, "grab", (0.1, 0.2)).sel(behavior="grab")
    assert curve(peri_event_plot(around, by="animal"), "grab") == pytest.approx([0.25])
    assert band(peri_event_plot(around, by="animal")) == pytest.approx([0.25])


def test_pictures_can_be_saved_either_way(labels, tmp_path):
    around = align(labels, "grab", (-0.2, 0.3))
    for picture in (raster(around), peri_event_plot(around)):
        hv.save(picture, tmp_path / "picture.html", backend="bokeh")
        hv.save(picture, tmp_path / "picture.png", backend="matplotlib")
        assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
        assert "<html" in (tmp_path / "picture.html").read_text(encoding="utf-8")
    assert save_ethogram(raster(around), tmp_path / "rows.png").exists()


def test_bands_have_the_colours_of_their_lines(labels):
    picture = peri_event_plot(align(labels, "grab", (-0.2, 0.3)))
    axes = hv.render(picture, backend="matplotlib").axes[0]
    bands = [tuple(patch.get_facecolor()[0][:3]) for patch in axes.collections]
    lines = [to_rgb(line.get_color()) for line in axes.lines]
    assert bands == lines[: len(bands)] == [to_rgb(c) for c in colors("grab", "chew")]


def test_nothing_to_draw(labels):
    none = align(labels, "grab", (0, 0.1)).isel(event=slice(0))
    with pytest.raises(ArgumentError, match="or more"):
        raster(none)
    with pytest.raises(ArgumentError, match="an event or more"):
        peri_event_plot(none)
    with pytest.raises(ArgumentError, match="aligned"):
        peri_event_plot(labels)
    with pytest.raises(ArgumentError, match="by"):
        peri_event_plot(align(labels, "grab", (0, 0.1)), by="weather")
