"""``ds.soup.annotate``: labels as people bring them; all or nothing."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, note
from hypothesis import strategies as st

import soupxr as sx
from soupxr.annotation.bout_table import from_table, to_frames
from soupxr.ingest import TrialRow
from soupxr.modes import BEHAVIORS
from soupxr.store import StoredTrial, add_trials

KEYS = ("M1/S1/1", "M1/S1/2", "M2/S1/1")
N_FRAMES = {"M1/S1/1": 12, "M1/S1/2": 20, "M2/S1/1": 12}


@pytest.fixture
def ds(tmp_path):
    """Three trials at 500 Hz, without films."""
    return store_of_trials(tmp_path, N_FRAMES, 500.0)


def store_of_trials(folder, n_frames, fps, **options):
    (folder / "videos").mkdir()
    address = sx.create(folder / "reach.zarr", folder / "videos", **options).attrs["soupxr_store"]
    rows = []
    for key, n in n_frames.items():
        animal, session, trial_id = key.split("/")
        rows.append(TrialRow(animal, session, int(trial_id), ("a.mp4", "b.mp4"), n, fps))
    add_trials(address, rows)
    return sx.open(address)


def table(*rows):
    columns = ["animal", "session", "trial_id", "behavior", "start", "stop"]
    return pd.DataFrame(rows, columns=columns)


def masks(ds, annotator, key):
    animal, session, trial_id = key.split("/")
    one = ds.sel(annotator=annotator, animal=animal, session=session, trial_id=int(trial_id))
    return one.annotation.values


def refused(ds, labels, annotator="Ana", **options):
    """The message; nothing may have been written."""
    before = sx.open(ds.attrs["soupxr_store"]).annotation.load()
    with pytest.raises(sx.ArgumentError) as caught:
        ds.soup.annotate(labels, annotator=annotator, **options)
    xr.testing.assert_identical(sx.open(ds.attrs["soupxr_store"]).annotation.load(), before)
    return str(caught.value)


# ------------------------------------------------------------------ tables


def test_a_table_of_bouts(ds):
    labels = table(("M1", "S1", 1, "lift", 2, 5), ("M1", "S1", 1, "sup", 0, 12))
    ds = ds.soup.annotate(labels, annotator="Ana")
    assert ds.annotator.values.tolist() == ["Ana"]
    expected = np.zeros((12, 6), np.int8)
    expected[2:5, 0] = 1
    expected[:, 3] = 1
    labelled = masks(ds, "Ana", "M1/S1/1")
    np.testing.assert_array_equal(labelled[:12], expected)
    assert (labelled[12:] == -1).all()
    assert (masks(ds, "Ana", "M1/S1/2") == -1).all()


def test_what_no_bout_covers(ds):
    labels = table(("M1", "S1", 1, "lift", 2, 5))
    ds = ds.soup.annotate(labels, annotator="Ana", rest="unlabelled")
    assert (masks(ds, "Ana", "M1/S1/1") == 1).sum() == 3
    assert (masks(ds, "Ana", "M1/S1/1") == 0).sum() == 0
    ds = ds.soup.annotate(labels, annotator="Ben", trials="selected")
    assert (masks(ds, "Ben", "M2/S1/1")[:12] == 0).all()
    assert (masks(ds, "Ben", "M2/S1/1")[12:] == -1).all()
    assert (masks(ds, "Ben", "M1/S1/2") == 0).all()


def test_columns_of_the_only_animal_session_or_trial_may_be_absent(ds):
    one = ds.sel(animal="M1", session="S1", trial_id=2)
    labels = pd.DataFrame({"behavior": ["chew"], "start": [3], "stop": [20]})
    after = one.soup.annotate(labels, annotator="Ana")
    assert after.sizes["trial"] == 1
    assert masks(sx.open(ds.attrs["soupxr_store"]), "Ana", "M1/S1/2")[3:, 5].all()
    both = ds.sel(animal="M1").soup.annotate(labels.assign(trial_id=1, stop=4), annotator="Ben")
    assert both.annotator.values.tolist() == ["Ana", "Ben"]
    assert both.sizes["trial"] == 2
    told = refused(ds, labels, annotator="Cleo")
    assert "'animal'" in told
    assert "'trial_id'" in told
    assert "only where one animal is selected; now there are 2" in told
    assert "'session'" not in told.replace("column 'session'", "")


def test_names_that_pandas_takes_for_numbers(tmp_path):
    ds = store_of_trials(tmp_path, {"11/7/1": 12, "11/7/2": 12}, 500.0)
    labels = table((11, 7.0, 1.0, "lift", 0.0, 3.0), (11, 7.0, "002", "lift", "1", "4"))
    ds = ds.soup.annotate(labels, annotator="Ana")
    assert masks(ds, "Ana", "11/7/1")[:3, 0].all()
    assert masks(ds, "Ana", "11/7/2")[1:4, 0].all()


def test_every_problem_is_told_with_its_row(ds):
    labels = table(
        ("M1", "S1", 1, "lift", 2, 5),
        ("M1", "S1", 9, "lift", 2, 5),
        ("M1", "S1", 1, "jump", 2, 5),
        ("M1", "S1", 1, "grab", 5, 5),
        ("M1", "S1", 1, "grab", -1, 5),
        ("M2", "S1", 1, "chew", 3, 13),
        ("M1", "S1", 1, "chew", "soon", 4),
        ("M1", "S1", 1, "chew", 2.5, 4),
        ("M1", "S1", 1, "jump", 1, np.inf),
    )
    labels.index = [f"r{i}" for i in range(9)]
    told = refused(ds, labels)
    expected = (
        "8 problems",
        "M1/S1/9: not among the selected trials (M1/S1/1, M1/S1/2, M2/S1/1); in 1 row(s): row 1",
        f"behavior 'jump': expected one of {list(BEHAVIORS)}; in 2 row(s): row 2 (index 'r2'), row",
        "row 3 (index 'r3'), animal=M1, session=S1, trial_id=1, behavior=grab, start=5, stop=5.0: "
        "start is not before stop",
        "start=-1, stop=5.0: start is negative",
        "start=3, stop=13.0: stop is beyond the end of the trial, which has 12 frames (0.024 s)",
        "start=soon, stop=4.0: start: not a number",
        "start=2.5, stop=4.0: start: no whole frame",
        "stop=inf: stop: not a number",
    )
    for part in expected:
        assert part in told, told


def test_missing_columns(ds):
    told = refused(ds, table(("M1", "S1", 1, "lift", 2, 5)).drop(columns=["stop", "behavior"]))
    assert "a column 'behavior'" in told
    assert "a column 'stop'" in told


def test_an_empty_table(ds):
    assert 'trials="selected"' in refused(ds, table())
    assert (ds.soup.annotate(table(), annotator="Ana", trials="selected").annotation[0, 0] == 0)[
        :12
    ].all()


def test_overlapping_bouts_are_joined_but_not_silently(ds):
    labels = table(
        ("M1", "S1", 1, "lift", 2, 8),
        ("M1", "S1", 1, "lift", 3, 4),
        ("M1", "S1", 1, "lift", 7, 9),
        ("M1", "S1", 1, "lift", 9, 10),
        ("M1", "S1", 1, "grab", 2, 8),
        ("M1", "S1", 2, "lift", 2, 8),
        ("M1", "S1", 2, "lift", 2, 8),
    )
    with pytest.warns(sx.SoupWarning, match="overlap") as caught:
        ds = ds.soup.annotate(labels, annotator="Ana")
    (warning,) = caught
    told = str(warning.message)
    assert warning.filename == __file__
    assert told.count("\n") == 3, told
    assert "row 0, animal=M1, session=S1, trial_id=1, behavior=lift, start=2, stop=8 and row 1" in (
        told
    )
    assert "and row 2, start=7, stop=9" in told
    assert "and row 6, start=2, stop=8" in told
    assert masks(ds, "Ana", "M1/S1/1")[:12, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0]


def test_a_warning_that_is_an_error_comes_before_anything_is_written(ds):
    labels = table(("M1", "S1", 1, "lift", 2, 8), ("M1", "S1", 1, "lift", 2, 8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(sx.SoupWarning):
            ds.soup.annotate(labels, annotator="Ana")
    assert sx.open(ds.attrs["soupxr_store"]).sizes["annotator"] == 0


# ------------------------------------------------------------------ seconds


def test_seconds_of_bouts_come_back_frame_exact(tmp_path):
    n = 3000
    ds = store_of_trials(tmp_path, {"M1/S1/1": n}, 500.0)
    random = np.random.default_rng(0)
    truth = (random.random((n, 6)) < 0.3).astype(np.int8)
    ds = ds.soup.annotate(truth, annotator="truth")
    bouts = ds.soup.bouts(annotator="truth")
    for digits in (3, 17):  # as a person's tool would write them, and as they are
        seconds = bouts.assign(
            start=(bouts.start / 500).round(digits), stop=(bouts.stop / 500).round(digits)
        )
        ds = ds.soup.annotate(seconds, annotator=f"{digits} digits", unit="second")
        np.testing.assert_array_equal(masks(ds, f"{digits} digits", "M1/S1/1"), truth)


@given(st.integers(0, 10**6), st.floats(0.5, 2000))
def test_the_start_of_a_frame_in_seconds_is_that_frame(frame, fps):
    first, last = to_frames(frame / fps, (frame + 1) / fps, fps)
    assert (first, last) == (frame, frame + 1)


@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (1.0, 2.0, (2, 4)),
        (0.25, 0.75, (0, 2)),  # 0.5 and 1.5 frames: to the even edges
        (1.20, 1.70, (2, 3)),
        (0.60, 0.70, (1, 2)),  # no edge between: the frame in which it begins
        (0.45, 0.52, (0, 1)),
        (0.0, 0.0, (0, 0)),
    ],
)
def test_seconds_go_to_the_nearest_edge(start, stop, expected):
    assert to_frames(start, stop, 2.0) == expected


def test_seconds_beyond_the_end(ds):
    told = refused(ds, table(("M1", "S1", 1, "lift", 0, 0.026)), unit="second")
    assert "which has 12 frames (0.024 s)" in told
    ds = ds.soup.annotate(
        table(("M1", "S1", 1, "lift", 0.0231, 0.0249)), annotator="Ana", unit="second"
    )
    assert masks(ds, "Ana", "M1/S1/1")[:, 0].tolist() == [0] * 11 + [1] + [-1] * 8


# ------------------------------------------------------------------ against an oracle

TRIALS = tuple(
    StoredTrial(key, slot, *key.split("/")[:2], int(key[-1]), (), n, fps, "")
    for slot, (key, n, fps) in enumerate(
        [("M1/S1/1", 9, 2.0), ("M1/S1/2", 17, 4.0), ("M2/S1/1", 1, 3.0)]
    )
)


@st.composite
def bouts_in_trials(draw):
    rows = []
    for _ in range(draw(st.integers(1, 12))):
        trial = draw(st.sampled_from(TRIALS))
        start = draw(st.integers(0, trial.n_frames - 1))
        stop = draw(st.integers(start + 1, trial.n_frames))
        behavior = draw(st.sampled_from(("a", "b", "c")))
        rows.append((trial.animal, trial.session, trial.trial_id, behavior, start, stop))
    return table(*rows)


@given(
    bouts_in_trials(),
    st.sampled_from(("frame", "second")),
    st.sampled_from(("absent", "unlabelled")),
    st.sampled_from(("listed", "selected")),
)
def test_a_table_becomes_the_masks_that_it_says(labels, unit, rest, which):
    note(str(labels))
    fps = {trial.key: trial.fps for trial in TRIALS}
    given_labels = labels
    if unit == "second":
        keys = labels.animal + "/" + labels.session + "/" + labels.trial_id.astype(str)
        rate = keys.map(fps)
        given_labels = labels.assign(start=labels.start / rate, stop=labels.stop / rate)
    found = from_table(given_labels, TRIALS, ("a", "b", "c"), unit, rest, which)
    assert found.problems == []
    rows = list(labels.itertuples(index=False))
    for trial in TRIALS:
        own = [r for r in rows if f"{r.animal}/{r.session}/{r.trial_id}" == trial.key]
        if not own and which == "listed":
            assert trial.key not in found.masks
            continue
        for frame in range(trial.n_frames):
            for place, name in enumerate("abc"):
                there = any(r.behavior == name and r.start <= frame < r.stop for r in own)
                expected = 1 if there else {"absent": 0, "unlabelled": -1}[rest]
                assert found.masks[trial.key][frame, place] == expected
    pairs = {
        (i, j)
        for i in range(len(rows))
        for j in range(i)
        if rows[i][:4] == rows[j][:4]
        and max(rows[i].start, rows[j].start) < min(rows[i].stop, rows[j].stop)
    }
    assert bool(found.notes) == bool(pairs)


# ------------------------------------------------------------------ arrays


def test_a_numpy_array_of_one_trial(ds):
    values = np.random.default_rng(0).integers(-1, 2, (12, 6))
    one = ds.sel(animal="M1", session="S1", trial_id=1)
    for name, labels in {
        "int": values,
        "float": np.where(values < 0, np.nan, values),
        "bool": values > 0,
    }.items():
        one.soup.annotate(labels, annotator=name)
    ds = sx.open(ds.attrs["soupxr_store"])
    for name in ("int", "float"):
        np.testing.assert_array_equal(masks(ds, name, "M1/S1/1")[:12], values)
        assert (masks(ds, name, "M1/S1/1")[12:] == -1).all()
    np.testing.assert_array_equal(masks(ds, "bool", "M1/S1/1")[:12], values > 0)


def test_a_dataarray_is_placed_by_its_coordinates(ds):
    truth = np.random.default_rng(0).integers(-1, 2, (3, 20, 6)).astype(np.int8)
    for place, n in enumerate(N_FRAMES.values()):
        truth[place, n:] = -1
    labels = ds.probability.isel(mode=0, drop=True).copy(data=truth)
    shuffled = labels.isel(
        trial=[2, 0, 1], behavior=[5, 1, 0, 2, 4, 3], frame=slice(None, None, -1)
    )
    names = ["sup" if name == "supinate" else name for name in shuffled.behavior.values]
    shuffled = shuffled.assign_coords(behavior=names).transpose("behavior", "trial", "frame")
    ds = ds.soup.annotate(shuffled, annotator="Ana")
    np.testing.assert_array_equal(ds.annotation.sel(annotator="Ana"), truth)
    part = labels.sel(animal="M1", session="S1", trial_id=2)
    part = part.sel(frame=slice(3, 6), behavior=["grab"])
    ds = ds.soup.annotate(part, annotator="Ben")
    expected = np.full((20, 6), -1)
    expected[3:7, 2] = truth[1, 3:7, 2]
    np.testing.assert_array_equal(masks(ds, "Ben", "M1/S1/2"), expected)
    assert (masks(ds, "Ben", "M1/S1/1") == -1).all()


def test_a_dataarray_without_coordinates_goes_by_the_order_of_the_selection(ds):
    values = np.zeros((2, 12, 6), np.int8)
    values[1, 4] = 1
    plain = xr.DataArray(values, dims=("trial", "frame", "behavior"))
    ds.isel(trial=[2, 0]).soup.annotate(plain, annotator="Ana")
    ds = sx.open(ds.attrs["soupxr_store"])
    assert masks(ds, "Ana", "M1/S1/1")[4].tolist() == [1] * 6
    assert masks(ds, "Ana", "M2/S1/1")[4].tolist() == [0] * 6


def test_arrays_that_do_not_fit(ds):
    one = ds.sel(animal="M1", session="S1", trial_id=1)
    zeros = np.zeros((12, 6), np.int8)
    assert "shape (12, 6), (frame, behavior), but got (12, 5)" in refused(one, zeros[:, 1:])
    assert "expected 12 frames, but got 11" in refused(one, zeros[1:])
    assert "shape (12, 6), (frame, behavior), but got (1, 12, 6)" in refused(one, zeros[None])
    assert "frame 12 is labelled too" in refused(one, np.zeros((13, 6)))
    wrong = zeros.astype(float)
    wrong[3, 2] = 0.5
    assert "M1/S1/1: expected 1, 0, -1 or NaN, but got 0.5 at [3, 2]" in refused(one, wrong)
    assert "but got object" in refused(one, zeros.astype(object))
    assert "3 trial(s), as selected" in refused(ds, zeros)
    assert "'list'" in refused(one, [[0]])
    assert "table of bouts only" in refused(one, zeros, unit="second")
    labels = one.annotation.isel(annotator=[]).sum("annotator").astype(np.int8)
    other = labels.assign_coords(behavior=[*BEHAVIORS[:5], "jump"])
    assert "behavior 'jump': expected one of" in refused(one, other)
    twice = labels.assign_coords(behavior=[*BEHAVIORS[:5], "sup"])
    assert "'supinate' is there twice" in refused(one, twice)
    assert "M1/S1/1: not among the selected trials" in refused(ds.sel(animal="M2"), labels)
    assert "(frame, behavior)" in refused(ds, ds.annotation)


# ------------------------------------------------------------------ annotators


@pytest.mark.parametrize("name", ["", "  ", None, "fast", " Ana", "A\nB"])
def test_names_that_no_annotator_has(ds, name):
    assert "annotator: expected" in refused(ds, table(("M1", "S1", 1, "lift", 2, 5)), name)


@pytest.mark.parametrize(
    "options", [{"unit": "minute"}, {"rest": "nothing"}, {"trials": "all"}, {"unit": None}]
)
def test_unknown_options(ds, options):
    (name,) = options
    told = refused(ds, table(("M1", "S1", 1, "lift", 2, 5)), **options)
    assert told.startswith(f"{name}: expected '")


def test_labels_are_replaced_only_when_asked(ds):
    ds = ds.soup.annotate(
        table(("M1", "S1", 1, "lift", 2, 5), ("M1", "S1", 2, "lift", 0, 1)), annotator="Ana"
    )
    other = table(("M1", "S1", 1, "chew", 6, 7), ("M2", "S1", 1, "chew", 6, 7))
    told = refused(ds, other)
    assert "M1/S1/1: 'Ana' has labelled this trial already" in told
    assert "overwrite=True" in told
    assert "M2" not in told
    ds = ds.soup.annotate(other[1:], annotator="Ana")
    ds = ds.soup.annotate(other[:1], annotator="Ana", overwrite=True)
    assert masks(ds, "Ana", "M1/S1/1")[:, 0].max() == 0
    assert ds.annotator.values.tolist() == ["Ana"]
    bouts = ds.soup.bouts(annotator="Ana")
    assert bouts.values[:, :6].tolist() == [
        ["M1", "S1", 1, "chew", 6, 7],
        ["M1", "S1", 2, "lift", 0, 1],
        ["M2", "S1", 1, "chew", 6, 7],
    ]


def test_bouts_of_one_annotator_are_the_labels_of_another(ds):
    truth = np.random.default_rng(3).integers(0, 2, (3, 20, 6)).astype(np.int8)
    for place, n in enumerate(N_FRAMES.values()):
        truth[place, n:] = -1
    truth[1, :20] = 0
    ds = ds.soup.annotate(
        ds.annotation.isel(annotator=[]).sum("annotator") * 0 + truth, annotator="a"
    )
    ds = ds.soup.annotate(ds.soup.bouts(annotator="a"), annotator="b", trials="selected")
    a, b = (ds.annotation.sel(annotator=name, drop=True) for name in "ab")
    np.testing.assert_array_equal(a, truth)
    xr.testing.assert_equal(a, b)


# ------------------------------------------------------------------ a real table


def real_bouts(shared, n_videos):
    path = shared / "data/labels/mouse_openfield_bouts.csv"
    bouts = pd.read_csv(path, sep=";").rename(
        columns={"from": "start", "to": "stop", "type": "behavior", "Experimenter": "session"}
    )
    bouts = bouts[bouts.ID.isin(sorted(bouts.ID.unique())[:n_videos])]
    return bouts.assign(animal=bouts.ID, trial_id=1)


@pytest.mark.parametrize("fps", [1.0, 5.0])
def test_a_real_table_of_seconds(shared, tmp_path, fps):
    bouts = real_bouts(shared, 2)
    keys = (bouts.animal + "/" + bouts.session + "/1").unique()
    behaviors = ("Supported", "Unsupported", "Grooming")
    n_frames = {key: int(605 * fps) for key in keys}
    ds = store_of_trials(tmp_path, n_frames, fps, behaviors=behaviors)
    told = refused(ds, bouts, unit="second")
    unknown = bouts[~bouts.behavior.isin(behaviors)]
    for name in unknown.behavior.unique():
        assert f"behavior {name!r}: expected one of {list(behaviors)}; in " in told
    assert f"row {bouts.index.get_loc(unknown.index[0])}" in told
    assert "Start/End" in told
    known = bouts[bouts.behavior.isin(behaviors)]
    with warnings.catch_warnings():  # raters tap twice, so bouts of one behavior overlap
        warnings.simplefilter("ignore", sx.SoupWarning)
        ds = ds.soup.annotate(known, annotator="raters", unit="second")
    for (animal, session, behavior), own in known.groupby(["animal", "session", "behavior"]):
        mask = ds.annotation.sel(
            annotator="raters", animal=animal, session=session, trial_id=1, behavior=behavior
        ).values
        covered = np.zeros(len(mask), bool)
        for start, stop in zip(own.start * fps, own.stop * fps, strict=True):
            middles = np.arange(len(mask)) + 0.5
            inside = (middles > start) & (middles < stop)
            covered |= inside if inside.any() else (np.arange(len(mask)) == int(start))
        differ = (mask == 1) != covered
        # At an edge exactly in the middle of a frame, either is right.
        assert differ.sum() <= (((own[["start", "stop"]] * fps) % 1) == 0.5).sum().sum()
        assert (mask >= 0).all()
