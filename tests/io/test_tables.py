"""Tables of bouts and frames."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from io_stores import mask_of, random_mask
from processes import PROCESSES
from results import put_result

import soupxr as sx
from soupxr.bouts import mask_to_bouts
from soupxr.dataset import store_of
from soupxr.errors import ArgumentError, FormatError
from soupxr.files import is_unfinished
from soupxr.io import gather, tables
from soupxr.io.matching import TrialFinder
from soupxr.io.sheet import read_rows, to_number
from soupxr.store import write_annotations


def write(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


# ------------------------------------------------------------------ in


def test_usual_headers_need_no_mapping(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100, "M1/S1/2": 100})
    table = write(
        tmp_path / "b.csv",
        "animal,session,trial_id,Behaviour,Start (s),Stop (s),Observer\n"
        "M1,S1,1,lift,0.01,0.02,Ana\nM1,S1,2,sup,0.1,0.2,Ben\n",
    )
    ds, report = tables.read(ds, table)
    assert report.annotations == {"Ana": ("M1/S1/1",), "Ben": ("M1/S1/2",)}
    assert mask_to_bouts(mask_of(ds, "M1/S1/1", "Ana")[:, 0]).tolist() == [[5, 10]]
    assert mask_to_bouts(mask_of(ds, "M1/S1/2", "Ben")[:, 3]).tolist() == [[50, 100]]
    assert "labels of 'Ana' in 1 trial(s): M1/S1/1" in repr(report)


def test_a_semicolon_table_with_crlf_comma_decimals_and_any_header(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 1000}, fps=25)
    table = write(
        tmp_path / "b.csv",
        '"Tier";"von";"bis";"Art"\r\n"reach_side_v001";"1,0";"2,5";"Heben"\r\n',
        "cp1252",
    )
    ds, report = tables.read(
        ds,
        table,
        columns={"trial": "Tier", "start": "von", "stop": "bis", "behavior": "Art"},
        behaviors={"Heben": "lift"},
        annotator="Ana",
        unit="second",
    )
    assert mask_to_bouts(mask_of(ds, "M1/S1/1", "Ana")[:, 0]).tolist() == [[25, 62]]
    assert report.names == {"reach_side_v001": "M1/S1/1"}


def test_a_behavior_that_is_left_out_is_unlabelled_and_not_absent(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 10})
    table = write(
        tmp_path / "b.csv", "behavior,start_frame,stop_frame\nlift,2,4\nsup,3,5\nGrip,3,5\n"
    )
    names = {"lift": None, "sup": None, "Grip": "grab"}
    ds, report = tables.read(ds, table, annotator="Ana", behaviors=names)
    mask = mask_of(ds, "M1/S1/1", "Ana")
    assert (mask[:, [0, 3]] == -1).all()
    assert (mask[:, [1, 4, 5]] == 0).all()
    assert mask[:, 2].tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    assert "of lift, supinate nothing is said" in repr(report)


def test_behaviors_without_a_bout_are_told_to_count_as_absent(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    path = write(tmp_path / "b.csv", "trial,behavior,start_frame,stop_frame\nM1/S1/1,lift,1,9\n")
    _, report = tables.read(ds, path, annotator="Ana")
    assert "no bout of handopen, grab, supinate, atmouth, chew" in report.notes[-1]
    assert "pass behaviors={'handopen': None}" in report.notes[-1]
    _, report = tables.read(ds, path, annotator="Ben", rest="unlabelled")
    assert not any("no bout of" in note for note in report.notes)


def test_frames_that_count_from_one_and_name_the_last(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 20})
    table = write(tmp_path / "b.tsv", "behavior\tstart\tduration\nlift\t1\t2\n")
    ds, _ = tables.read(ds, table, unit="frame", first_frame=1, annotator="Ana")
    assert mask_to_bouts(mask_of(ds, "M1/S1/1", "Ana")[:, 0]).tolist() == [[0, 2]]
    table = write(tmp_path / "c.tsv", "behavior\tstart\tend\nlift\t1\t2\n")
    ds, _ = tables.read(ds, table, unit="frame", first_frame=1, inclusive=True, annotator="Ben")
    assert mask_to_bouts(mask_of(ds, "M1/S1/1", "Ben")[:, 0]).tolist() == [[0, 2]]


def test_columns_that_mean_nothing_here_are_told(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    table = write(
        tmp_path / "b.csv",
        "behavior,start_frame,stop_frame,remark,modifier,empty,\nlift,1,9,high,,,\n"
        "grab,20,30,,left,,7\n",
    )
    _, report = tables.read(ds, table, annotator="Ana")
    told = "column 'remark'", "column 'modifier'", "column 7, which has no header"
    assert report.left == told
    frames = write(tmp_path / "f.csv", "frame,time,index,lift\n0,0,5,1\n1,0.002,6,0\n")
    _, report = tables.read(ds, frames, annotator="Ben")
    assert report.left == ("column 'index'",)
    twice = write(tmp_path / "p.csv", "behavior,start_frame,stop_frame,start_s\nlift,1,9,0.002\n")
    _, report = tables.read(ds, twice, annotator="Cleo")
    assert report.left == ()  # the same in another unit is no loss


def test_rest_can_be_unlabelled(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 10})
    table = write(tmp_path / "b.csv", "behavior,start_frame,stop_frame\nlift,2,4\n")
    ds, _ = tables.read(ds, table, annotator="Ana", rest="unlabelled")
    mask = mask_of(ds, "M1/S1/1", "Ana")
    assert mask[:, 0].tolist() == [-1, -1, 1, 1, -1, -1, -1, -1, -1, -1]
    assert (mask[:, 1:] == -1).all()


@given(ms=st.integers(0, 3_600_000))
def test_milliseconds_at_500_hz_go_to_the_nearest_edge_and_halves_to_the_even_one(ms):
    from soupxr.annotation.bout_table import to_frames

    # Two milliseconds a frame: an odd one lies in the middle of two edges.
    first, _ = to_frames(ms / 1000, ms / 1000 + 1, 500.0)
    frame, half = divmod(ms, 2)
    assert first == frame + (half and frame % 2)


def test_what_is_wrong_is_told_with_file_and_row_and_nothing_is_written(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    table = write(
        tmp_path / "b.csv",
        "trial,behavior,start_s,stop_s\n"
        "M1/S1/1,lift,0.01,0.02\n"
        "M1/S1/1,jump,0.01,0.02\n"
        "M1/S1/9,lift,0.01,0.02\n"
        "M1/S1/1,lift,0.03,soon\n"
        "M1/S1/1,lift,0.05,0.04\n"
        "M1/S1/1,lift,0.1,0.9\n",
    )
    with pytest.raises(FormatError) as error:
        tables.read(ds, table, annotator="Ana")
    told = str(error.value)
    assert "behavior 'jump': expected one of" in told
    assert "row 3" in told
    assert "trial 'M1/S1/9': not among the 1 selected trials (b.csv, row 4)" in told
    assert "row 5: stop: expected a number, but got 'soon'" in told
    assert "row 6: start 0.05 s is not before stop 0.04 s" in told
    assert "row 7: lasts from frame 50 to 450, but the trial has 100 frames" in told
    assert "behaviors={'jump': ours}" in told
    assert sx.open(ds.attrs["soupxr_store"]).sizes["annotator"] == 0


def test_what_the_store_lacks_can_be_left(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    table = write(
        tmp_path / "b.csv",
        "trial,behavior,start_s,stop_s\n"
        "M1/S1/1,lift,0.01,0.02\nM1/S1/1,jump,0.01,0.02\nM1/S1/9,lift,0,1\n"
        "M1/S1/1,_DEFAULT,0,1\n",
    )
    ds, report = tables.read(
        ds, table, annotator="Ana", missing="leave", behaviors={"_DEFAULT": None}
    )
    assert report.annotations == {"Ana": ("M1/S1/1",)}
    assert [word for word in ("jump", "M1/S1/9", "_DEFAULT") if word not in repr(report)] == []


def test_a_bout_that_ends_two_frames_late_ends_with_the_trial(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    table = write(tmp_path / "b.csv", "behavior,start_frame,stop_frame\nlift,90,102\n")
    ds, report = tables.read(ds, table, annotator="Ana")
    assert mask_to_bouts(mask_of(ds, "M1/S1/1", "Ana")[:, 0]).tolist() == [[90, 100]]
    assert "ends at the trial's end, 2 frame(s) early" in repr(report)


def test_overlaps_are_noted(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    table = write(tmp_path / "b.csv", "behavior,start_frame,stop_frame\nlift,1,9\nlift,5,20\n")
    ds, report = tables.read(ds, table, annotator="Ana")
    assert mask_to_bouts(mask_of(ds, "M1/S1/1", "Ana")[:, 0]).tolist() == [[1, 20]]
    assert "row 2 and b.csv, row 3: bouts of lift overlap" in repr(report)


def test_labels_are_replaced_only_when_asked(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    table = write(tmp_path / "b.csv", "behavior,start_frame,stop_frame\nlift,1,9\n")
    ds, _ = tables.read(ds, table, annotator="Ana")
    with pytest.raises(FormatError, match="has labelled this trial already"):
        tables.read(ds, table, annotator="Ana")
    ds, _ = tables.read(ds, table, annotator="Ana", overwrite=True)


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("a,b\n1,2\n", {}, "expected columns for behavior, start, stop"),
        ("", {}, "the file is empty"),
        ("trial,behavior,start,stop\nM1/S1/1,lift,1,2\n", {}, "unit: expected 'second' or 'frame'"),
        (
            "trial,behavior,start_s,stop_s\nx,lift,1,2\n",
            {"annotator": None},
            "annotator: expected who",
        ),
        ("behavior,start_s,stop_s\nlift,1,2\n", {"columns": {"start": "x"}}, "headers among"),
        ("behavior,start_s,stop_s\nlift,1,2\n", {"columns": {"begin": "start_s"}}, "keys among"),
        ("behavior,start_s,stop_s\nlift,1,2\n", {"behaviors": {"lift": "hop"}}, "behaviors:"),
        ("trial,behavior,start_frame,stop_frame\nM1/S1/1,lift,1.5,2\n", {}, "no whole numbers"),
        ("behavior,start_frame,stop_frame\nlift,1,2\n", {}, "a column that tells the trial"),
        ("trial,behavior,start_s,stop_s\nreach,0,1\n", {"trials": "("}, "a regular expression"),
        ("trial,behavior,start_s,stop_s\nx,0,1\n", {"trials": {"x": "M1"}}, "animal/session/tri"),
    ],
)
def test_errors_say_what_to_do(bare_store, tmp_path, text, options, told):
    ds = bare_store({"M1/S1/1": 100, "M1/S1/2": 100})
    table = write(tmp_path / "b.csv", text)
    with pytest.raises((ArgumentError, FormatError), match=told.replace("(", "\\(")):
        tables.read(ds, table, **{"annotator": "Ana", **options})


def test_no_table_at_all(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    (tmp_path / "b.csv").write_bytes(b"\x00\x01\x00\x02")
    (tmp_path / "b.xlsx").write_bytes(b"PK no")
    for name, told in [
        ("none.csv", "no such file"),
        ("b.csv", "not a text table"),
        ("b.xlsx", "not an Excel file"),
        ("b.ods", "Save it as .xlsx"),
    ]:
        with pytest.raises(FormatError, match=told):
            tables.read(ds, tmp_path / name, annotator="Ana")


@pytest.mark.parametrize(
    ("text", "options", "told"),
    [
        ("behavior,start_frame,duration_s\nlift,1,2\n", {}, "header of .* does not say"),
        ("behavior,start_s,duration_frames\nlift,0.01,2\n", {}, "header of .* does not say"),
        (
            "behavior,start_frame,stop_frame\nlift,0,1\n",
            {"unit": "second"},
            "unit: expected that of the column 'start_frame'",
        ),
        (
            "behavior,start,duration\nlift,1,2\n",
            {"unit": "frame", "inclusive": True},
            "the table has durations",
        ),
        ("behavior,start_s,stop_s\nlift,0,0.1\n", {"first_frame": 1}, "first_frame: is of frames"),
        ("behavior,start_s,stop_s\nlift,0,0.1\n", {"inclusive": True}, "inclusive: is of frames"),
    ],
)
def test_what_would_shift_bouts_is_refused(bare_store, tmp_path, text, options, told):
    ds = bare_store({"M1/S1/1": 100})
    with pytest.raises(ArgumentError, match=told):
        tables.read(ds, write(tmp_path / "b.csv", text), annotator="Ana", **options)


def test_of_columns_in_both_units_the_one_that_is_asked_for_counts(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100}, fps=5)
    table = write(
        tmp_path / "b.csv", "behavior,start_frame,stop_frame,start_s,stop_s\nlift,10,20,1,2\n"
    )
    for unit, bout in ((None, [10, 20]), ("frame", [10, 20]), ("second", [5, 10])):
        back, _ = tables.read(ds, table, annotator=f"by {unit}", unit=unit)
        assert mask_to_bouts(mask_of(back, "M1/S1/1", f"by {unit}")[:, 0]).tolist() == [bout]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("behavior,start_s,stop_s\nlift,0,01,0,05\n", "row 2: expected 3 cells"),
        ("behavior,start_s,stop_s,behavior\nlift,0,0.1,grab\n", "'behavior' is there twice"),
        ("frame,lift,grab,lift\n0,1,0,0\n", "the column 'lift' is there twice"),
        ("frame,lift\n0,1\n0,0\n", "row 3: frame '0': is there twice"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(bare_store, tmp_path, text, told):
    ds = bare_store({"M1/S1/1": 1000})
    with pytest.raises(FormatError, match=told):
        tables.read(ds, write(tmp_path / "b.csv", text), annotator="Ana")


def test_frames_that_a_table_lacks_are_told(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 10})
    ds, report = tables.read(ds, write(tmp_path / "f.csv", "frame,lift\n2,1\n"), annotator="Ana")
    assert "9 of its 10 frames are not in the table, and are unlabelled" in repr(report)


def test_a_number_of_a_trial_is_no_name_of_a_video(bare_store, tmp_path):
    ds = bare_store({"M1/S1/3": 10, "M2/S1/1": 10}, video="{animal}/{trial_id}.mp4", views=("top",))
    table = write(
        tmp_path / "b.csv",
        "animal,session,trial_id,behavior,start_frame,stop_frame\nM9,S1,3,lift,1,4\n",
    )
    with pytest.raises(FormatError, match="trial 'M9/S1/3': not among"):
        tables.read(ds, table, annotator="Ana")


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
@pytest.mark.parametrize(
    "names",
    [["start", "label"], ["time", "frame"], ["rater", "stop"], ["=1+1", 'a,b;"c'], ["ü", "NA"]],
)
def test_behaviors_with_names_of_columns(bare_store, tmp_path, names, suffix):
    ds = bare_store({"M1/S1/1": 12}, behaviors=names)
    labels = np.resize(np.array([1, 0, -1, 1, 1], np.int8), (12, 2))
    ds = ds.soup.annotate(labels, annotator="Ana")
    for form in ("bouts", "frames"):
        path = tables.write(ds, tmp_path / f"{form}.{suffix}", annotator="Ana", form=form)
        assert tables.behaviors(path) == names
        ds, _ = tables.read(ds, path, annotator=form)
        assert np.array_equal(mask_of(ds, "M1/S1/1", form), labels)


def test_a_trial_without_bouts_is_told_to_be_left(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 10, "M1/S1/2": 10})
    labels = np.zeros((10, 6), np.int8)
    write_annotations(store_of(ds).address, "Ana", {"M1/S1/1": labels + 1, "M1/S1/2": labels})
    ds = sx.open(store_of(ds).address)
    path = tables.write(ds, tmp_path / "b.csv", annotator="Ana")
    _, report = tables.read(ds, path, annotator="Ben")
    assert "left  M1/S1/2: was exported, too, but has no bout in the table" in repr(report)


@pytest.mark.parametrize("number", ["2", "2.0", "002"])
def test_a_number_may_stand_under_trial_beside_the_animal_and_the_session(
    bare_store, tmp_path, number
):
    ds = bare_store({"M1/S1/1": 20, "M1/S1/2": 20})
    table = write(
        tmp_path / "b.csv",
        f"Mouse,Session,Trial,Behavior,Start (frame),Stop (frame)\nM1,S1,{number},lift,3,6\n",
    )
    ds, report = tables.read(ds, table, annotator="Ana")
    assert report.annotations == {"Ana": ("M1/S1/2",)}


def test_what_is_of_bouts_is_refused_for_a_table_of_frames(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 2})
    table = write(tmp_path / "f.csv", "frame,lift\n0,1\n1,0\n")
    for options in ({"unit": "frame"}, {"inclusive": True}):
        with pytest.raises(ArgumentError, match="has a row for each frame"):
            tables.read(ds, table, annotator="Ana", **options)
    with pytest.raises(ArgumentError, match="sheet: expected none"):
        tables.read(ds, table, annotator="Ana", sheet="one")


def test_a_duration_that_is_none_is_told_by_its_name(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 20})
    table = write(tmp_path / "b.csv", "behavior,start_s,duration_s\nlift,0.1,abc\n")
    with pytest.raises(FormatError, match="duration: expected a number, but got 'abc'"):
        tables.read(ds, table, annotator="Ana")


def _no_room_for_ben(patch):
    """Let the disk be full when Ben's labels are due."""
    real = gather.write_annotations

    def fails(address, annotator, masks, **options):
        if annotator == "Ben":
            raise sx.StoreError("the disk is full")
        real(address, annotator, masks, **options)

    patch.setattr(gather, "write_annotations", fails)


def test_a_failing_disk_leaves_the_store_as_it_was(bare_store, tmp_path, monkeypatch):
    ds = bare_store({"M1/S1/1": 100})
    table = write(
        tmp_path / "b.csv",
        "annotator,behavior,start_frame,stop_frame\nAna,lift,1,9\nBen,lift,2,9\n",
    )
    old = np.zeros((100, 6), np.int8)
    old[:5] = 1
    ds.sel(animal="M1").soup.annotate(old, annotator="Ana")
    with monkeypatch.context() as patch:
        _no_room_for_ben(patch)
        with pytest.raises(sx.StoreError, match="the disk is full"):
            tables.read(sx.open(ds.attrs["soupxr_store"]), table, overwrite=True)
    assert (mask_of(ds, "M1/S1/1", "Ana") == old).all()


def _label_elsewhere(address, names):
    ones = np.ones((100, 6), np.int8)
    for name in names:
        write_annotations(address, name, {"M1/S1/1": ones, "M1/S1/2": ones})


def test_labels_that_another_process_makes_meanwhile_are_not_withdrawn(
    bare_store, tmp_path, monkeypatch
):
    """The name is new when the import is put together, and not any more when it is written."""
    ds = bare_store({"M1/S1/1": 100, "M1/S1/2": 100})
    address = ds.attrs["soupxr_store"]
    table = write(
        tmp_path / "b.csv",
        "trial,annotator,behavior,start_frame,stop_frame\n"
        "M1/S1/1,Ana,lift,1,9\nM1/S1/1,Ben,lift,1,9\n",
    )
    plainly = gather.all_or_nothing

    def meanwhile():
        process = PROCESSES.Process(target=_label_elsewhere, args=(address, ["Ana"]))
        process.start()
        process.join()
        assert process.exitcode == 0
        return plainly()

    with monkeypatch.context() as patch:
        patch.setattr(gather, "all_or_nothing", meanwhile)
        _no_room_for_ben(patch)
        with pytest.raises(sx.StoreError, match="the disk is full"):
            tables.read(ds, table, overwrite=True)
    ds = sx.open(address)
    assert ds.annotator.values.tolist() == ["Ana"]
    assert (ds.annotation.sel(annotator="Ana") == 1).all()


@pytest.mark.parametrize("before", [["Ana"], ["Ana", "Abe"]])
def test_of_new_annotators_none_stays_where_the_last_fails(
    bare_store, tmp_path, monkeypatch, before
):
    ds = bare_store({"M1/S1/1": 100})
    rows = [f"{name},lift,1,9" for name in [*before, "Ben"]]
    table = write(
        tmp_path / "b.csv", "\n".join(["annotator,behavior,start_frame,stop_frame", *rows, ""])
    )
    with monkeypatch.context() as patch:
        _no_room_for_ben(patch)
        with pytest.raises(sx.StoreError, match="the disk is full"):
            tables.read(ds, table)
    assert sx.open(ds.attrs["soupxr_store"]).sizes["annotator"] == 0
    # Nothing of Ana's comes back under the next name.
    other = write(tmp_path / "c.csv", "behavior,start_frame,stop_frame\ngrab,2,9\n")
    ds, _ = tables.read(sx.open(ds.attrs["soupxr_store"]), other, annotator="Cleo")
    assert ds.annotator.values.tolist() == ["Cleo"]
    assert mask_to_bouts(mask_of(ds, "M1/S1/1", "Cleo")[:, 0]).tolist() == []
    assert mask_to_bouts(mask_of(ds, "M1/S1/1", "Cleo")[:, 2]).tolist() == [[2, 9]]


# ------------------------------------------------------------------ real tables


def length_of_union(spans):
    """Seconds that any of the spans covers."""
    total, end = 0.0, -np.inf
    for start, stop in sorted(spans):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


@pytest.mark.parametrize(
    ("name", "behaviors"),
    [
        (
            "mouse_openfield_bouts.csv",
            ["Supported", "Unsupported", "Grooming", "Jumping"],
        ),
        (
            "mouse_maze_bouts.csv",
            ["Head Dip", "Grooming", "Protected Stretch", "Unprotected Stretch", "Rearing"],
        ),
        ("mouse_swim_bouts.csv", ["Floating"]),
    ],
)
def test_real_tables_of_mouse_behavior(shared, bare_store, name, behaviors):
    path = shared / "data" / "labels" / name
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    videos = sorted({row["ID"] for row in rows})
    longest = max(float(row["to"]) for row in rows if row["to"] not in ("", "NA"))
    fps = 25.0
    ds = bare_store(
        {f"M1/S1/{n}": int((longest + 1) * fps) for n in range(len(videos))},
        fps=fps,
        behaviors=behaviors,
        views=("top",),
    )
    known = set(behaviors)
    ds, report = tables.read(
        ds,
        path,
        columns={"trial": "ID", "behavior": "type", "annotator": "Experimenter"},
        unit="second",
        trials={video: ("M1", "S1", n) for n, video in enumerate(videos)},
        behaviors={row["type"]: None for row in rows if row["type"] not in known},
    )
    assert set(report.annotations) == {row["Experimenter"] for row in rows}
    for n, video in enumerate(videos):
        for rater in report.annotations:
            for behavior in behaviors:
                own = [
                    (float(row["from"]), float(row["to"]))
                    for row in rows
                    if (row["ID"], row["Experimenter"], row["type"]) == (video, rater, behavior)
                ]
                told = length_of_union(own)
                if f"M1/S1/{n}" not in report.annotations[rater]:
                    assert not own
                    continue
                mask = mask_of(ds, f"M1/S1/{n}", rater)[:, behaviors.index(behavior)]
                # Each end is off by half a frame at most; overlapping bouts count once.
                assert (mask == 1).sum() / fps == pytest.approx(told, abs=len(own) / fps + 1e-9)
                assert (mask == 1).any() == bool(own)
                assert len(mask_to_bouts(mask == 1)) <= len(own)


def test_a_real_table_of_frames(shared, bare_store):
    path = shared / "data" / "labels" / "fly_frames_hand.csv"
    names = ["still", "walk", "front_groom", "back_groom", "abdomen-move"]
    ds = bare_store({"F1/S1/1": 45001}, fps=70, behaviors=names, views=("top",))
    ds, report = tables.read(
        ds, path, columns={"frame": ""}, annotator="hand", behaviors={"background": None}
    )
    truth = np.loadtxt(path, delimiter=",", skiprows=1, dtype=int)[:, 2:]
    assert (mask_of(ds, "F1/S1/1", "hand") == truth).all()
    assert "background" in repr(report)


# ------------------------------------------------------------------ out, and back


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".xlsx"])
@pytest.mark.parametrize("form", ["bouts", "frames"])
def test_round_trip_to_the_frame(bare_store, tmp_path, suffix, form):
    keys = {"M1/S1/1": 130, "M2/S1/2": 57}
    ds = bare_store(keys, fps=499.7)
    masks = {
        key: random_mask(n, 6, seed, unlabelled=True) for seed, (key, n) in enumerate(keys.items())
    }
    for key, mask in masks.items():
        animal, session, number = key.split("/")
        one = ds.sel(animal=animal, session=session, trial_id=int(number))
        one.soup.annotate(mask, annotator="Ana")
    ds = sx.open(ds.attrs["soupxr_store"])
    path = tables.write(ds, tmp_path / f"out{suffix}", annotator="Ana", form=form)
    ds, _ = tables.read(ds, path, annotator="back")
    for key, mask in masks.items():
        assert (mask_of(ds, key, "back") == mask).all()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6), fps=st.sampled_from([24.0, 29.97, 120.0005, 500.0, 999.0]))
def test_seconds_of_an_exported_table_lead_to_the_same_frames(seed, fps):
    from soupxr.annotation.bout_table import to_frames

    mask = random_mask(4000, 1, seed)[:, 0]
    bouts = mask_to_bouts(mask)
    start, stop = to_frames(np.round(bouts[:, 0] / fps, 6), np.round(bouts[:, 1] / fps, 6), fps)
    assert (np.stack([start, stop], axis=1) == bouts).all()


def test_an_ethogram_goes_out_with_its_provenance(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 60, "M1/S1/2": 60})
    probability = np.zeros((60, 6), np.float32)
    probability[10:20, 0] = 0.9
    put_result(ds, "M1/S1/1", probability)
    path = tables.write(ds, tmp_path / "out.csv", mode="fast")
    with path.open() as file:
        rows = list(csv.DictReader(file))
    assert rows == [
        {
            "animal": "M1",
            "session": "S1",
            "trial_id": "1",
            "behavior": "lift",
            "start_frame": "10",
            "stop_frame": "20",
            "start_s": "0.02",
            "stop_s": "0.04",
            "duration_s": "0.02",
            "mode": "fast",
        }
    ]
    record = json.loads((tmp_path / "out.csv.provenance.json").read_text())
    assert record["mode"] == "fast"
    assert record["trials"] == {"M1/S1/1": {"n_frames": 60, "fps": 500.0}}
    (made,) = record["made"]
    assert made["sequence_model"] == "a" * 64
    assert made["thresholds"]["lift"] == 0.5
    assert made["trials"] == ["M1/S1/1"]
    with pytest.raises(ArgumentError, match="Pass overwrite=True"):
        tables.write(ds, path, mode="fast")
    with pytest.raises(ArgumentError, match="ends in"):
        tables.write(ds, tmp_path / "out.doc", mode="fast")
    with pytest.raises(ArgumentError, match="without any"):
        tables.write(ds, tmp_path / "other.csv", mode="slow")


def test_a_workbook_holds_its_provenance(bare_store, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    ds = bare_store({"M1/S1/1": 60, "M1/S1/2": 60})
    probability = np.zeros((60, 6), np.float32)
    probability[10:20, 0] = 0.9
    put_result(ds, "M1/S1/1", probability)
    path = tables.write(ds, tmp_path / "out.xlsx", mode="fast")
    assert [one.name for one in tmp_path.glob("*.json")] == []
    sheet = openpyxl.load_workbook(path)["provenance"]
    cells = {name: "".join(filter(None, texts)) for name, *texts in sheet.values}
    assert (cells["labels"], cells["mode"], cells["form"]) == ("ethogram", "fast", "bouts")
    assert cells["soupxr"] == sx.__version__
    assert json.loads(cells["trials"]) == {"M1/S1/1": {"n_frames": 60, "fps": 500.0}}
    (made,) = json.loads(cells["made"])
    assert made["sequence_model"] == "a" * 64
    assert made["thresholds"]["lift"] == 0.5
    assert made["trials"] == ["M1/S1/1"]


@pytest.mark.slow
@pytest.mark.thorough
def test_a_long_record_is_whole_in_a_workbook(bare_store, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    ds = bare_store({"M1/S1/1": 12_000})
    labels = np.resize(np.array([1, -1], np.int8), 12_000)
    labels = np.repeat(labels[:, None], 6, axis=1)
    ds = ds.soup.annotate(labels, annotator="Ana")
    path = tables.write(ds, tmp_path / "out.xlsx", annotator="Ana")
    rows = {name: texts for name, *texts in openpyxl.load_workbook(path)["provenance"].values}
    pieces = [piece for piece in rows["unlabelled"] if piece]
    assert len(pieces) > 1  # more than a cell takes
    stretches = json.loads("".join(pieces))["M1/S1/1"]["lift"]
    assert stretches == [[frame, frame + 1] for frame in range(1, 12_000, 2)]


@pytest.fixture
def labelled(bare_store):
    ds = bare_store({"M1/S1/1": 60})
    return ds.soup.annotate(random_mask(60, 6, 1, unlabelled=True), annotator="Ana")


def test_a_table_takes_its_name_before_its_provenance(labelled, tmp_path, monkeypatch):
    path = tables.write(labelled, tmp_path / "out.csv", annotator="Ana")
    beside = tmp_path / "out.csv.provenance.json"
    before = {one: one.read_bytes() for one in (path, beside)}
    named = []
    replace = type(path).replace

    def fails(self, target):
        named.append(target.name)
        raise OSError(28, "No space left on device")

    one = labelled.sel(trial=labelled.trial)
    other = random_mask(60, 6, 2, unlabelled=True)
    one.soup.annotate(other, annotator="Ana", overwrite=True)
    with monkeypatch.context() as patch:
        patch.setattr(type(path), "replace", fails)
        with pytest.raises(OSError, match="No space left"):
            tables.write(one, path, annotator="Ana", overwrite=True)
    assert named == ["out.csv"]
    assert {one: one.read_bytes() for one in (path, beside)} == before
    assert not [one for one in tmp_path.iterdir() if is_unfinished(one)]

    def noted(self, target):
        named.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(type(path), "replace", noted)
    tables.write(one, path, annotator="Ana", overwrite=True)
    assert named[1:] == ["out.csv", "out.csv.provenance.json"]


def test_provenance_that_is_there_is_not_replaced_unasked(labelled, tmp_path):
    beside = tmp_path / "out.csv.provenance.json"
    beside.write_text("mine")
    with pytest.raises(ArgumentError, match=r"provenance: expected a new file.*overwrite=True"):
        tables.write(labelled, tmp_path / "out.csv", annotator="Ana")
    assert not (tmp_path / "out.csv").exists()
    with pytest.raises(ArgumentError, match="provenance: expected a new file"):
        tables.write(labelled, io.StringIO(), annotator="Ana", provenance=beside)
    assert beside.read_text() == "mine"
    tables.write(labelled, tmp_path / "out.csv", annotator="Ana", overwrite=True)
    assert json.loads(beside.read_text("utf-8"))["annotator"] == "Ana"


@pytest.mark.parametrize("form", ["bouts", "frames"])
def test_an_open_file_can_have_provenance(labelled, tmp_path, form):
    what = {"annotator": "Ana", "form": form}
    path = tables.write(labelled, tmp_path / "out.csv", **what)
    record = json.loads((tmp_path / "out.csv.provenance.json").read_text("utf-8"))
    stream, told = io.StringIO(), io.StringIO()
    tables.write(labelled, stream, provenance=told, **what)
    assert stream.getvalue() == path.read_text("utf-8")
    assert json.loads(told.getvalue()) | {"exported": record["exported"]} == record
    tables.write(labelled, io.StringIO(), provenance=tmp_path / "origin.json", **what)
    assert json.loads((tmp_path / "origin.json").read_text("utf-8"))["form"] == form
    with pytest.raises(ArgumentError, match="provenance: expected None unless path is an open"):
        tables.write(labelled, tmp_path / "b.csv", provenance=tmp_path / "o.json", **what)
    assert not (tmp_path / "b.csv").exists()


def test_of_a_table_that_fails_there_is_no_provenance(labelled, tmp_path):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        tables.write(labelled, Full(), annotator="Ana", provenance=tmp_path / "origin.json")
    assert list(tmp_path.glob("*origin.json*")) == []


def test_a_dataframe_for_statistics(bare_store):
    ds = bare_store({"M1/S1/1": 60, "M1/S1/2": 60})
    mask = random_mask(60, 6, 1)
    one = ds.sel(animal="M1", session="S1", trial_id=2)
    one.soup.annotate(mask, annotator="Ana")
    ds = sx.open(ds.attrs["soupxr_store"])
    bouts = tables.to_dataframe(ds, annotator="Ana")
    assert bouts.attrs["provenance"]["annotator"] == "Ana"
    lengths = (bouts.stop_frame - bouts.start_frame).groupby(bouts.behavior).sum()
    assert lengths.to_dict() == dict(zip(ds.behavior.values, mask.sum(axis=0), strict=True))
    frames = tables.to_dataframe(ds, annotator="Ana", form="frames")
    assert (frames[list(ds.behavior.values)].to_numpy() == mask).all()
    with pytest.raises(ArgumentError, match="form: expected"):
        tables.to_dataframe(ds, annotator="Ana", form="rows")


def test_one_selected_trial_needs_no_name(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 60, "M1/S1/2": 60})
    table = write(tmp_path / "b.csv", "behavior,start_frame,stop_frame\nlift,1,9\n")
    one = ds.sel(animal="M1", session="S1", trial_id=2)
    one, report = tables.read(one, table, annotator="Ana")
    assert report.annotations == {"Ana": ("M1/S1/2",)}
    assert tables.columns_of(table) == ["behavior", "start_frame", "stop_frame"]
    assert tables.behaviors(table) == ["lift"]


# ------------------------------------------------------------------ parts


def test_trials_are_found_by_key_video_and_what_the_user_says(bare_store):
    ds = bare_store({"M1/S1/1": 5, "M1/S2/1": 5, "M2/S1/12": 5})
    from soupxr.dataset import keys_of, store_of

    trials = store_of(ds).trials(keys_of(ds))
    finder = TrialFinder(trials)

    def key(*names):
        found = finder.find(*names)
        return found if found is None or isinstance(found, str) else found.key

    assert key("M1/S2/1") == "M1/S2/1"
    assert key("m1_s2_001") == "M1/S2/1"
    assert key("reach_side_v012") == "M2/S1/12"
    assert key("C:\\lab\\M1\\S2\\reach_front_v001.mp4") == "M1/S2/1"
    assert key("/data/M1/S1/reach_side_v001.avi") == "M1/S1/1"
    assert key("reach_side_v001.mp4") == "'reach_side_v001.mp4' may be any of M1/S1/1, M1/S2/1"
    assert key("reach_side_v001.mp4", "M1/S2/1").startswith("'reach_side")
    # Another session's folder, which no trial of this name has; and one that says nothing.
    assert key("M2/S2/reach_side_v012.mp4") is None
    assert key("M1/S1/reach_side_v012.mp4") is None
    assert key("M2/moved/reach_side_v012.mp4") == "M2/S1/12"
    assert key("elsewhere.mp4") is None
    finder = TrialFinder(trials, r"(?P<animal>\w+) day (?P<session>\w+) no (?P<trial_id>\d+)")
    assert key("M2 day S1 no 12") == "M2/S1/12"
    finder = TrialFinder(trials, {"film": "M2/S1/12", "gone": "M9/S1/1"})
    assert key("/x/film.mp4") == "M2/S1/12"
    assert finder.unmet() == ["gone"]
    assert key("gone") is None
    assert finder.unmet() == []


def test_numbers_of_all_kinds():
    assert [to_number(cell) for cell in ("1,5", " 2 ", 3, "1:02:03.5", "-0:01,5")] == [
        1.5,
        2.0,
        3.0,
        3723.5,
        -1.5,
    ]
    assert all(np.isnan(to_number(cell)) for cell in ("NA", "", None, "soon", True))


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_delimiters_and_encodings(tmp_path, delimiter, encoding):
    lines = [["trial", "behavior, all"], ["é", 'with "quotes"'], ["", ""], ["a\nb", "c"]]
    with (tmp_path / "t.txt").open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(lines)
    rows = read_rows(tmp_path / "t.txt")
    assert [row.cells for row in rows] == [lines[0], lines[1], lines[3]]
    assert [row.number for row in rows] == [1, 2, 5]
