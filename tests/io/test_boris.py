"""BORIS: projects and exports in, projects out."""

import gzip
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from io_stores import mask_of, random_mask
from results import put_result
from written.boris import VIDEO, observation, project

import soupxr as sx
from soupxr.bouts import mask_to_bouts
from soupxr.errors import ArgumentError, FormatError
from soupxr.io import boris


def bouts_of(ds, key, name, annotator="Ana"):
    column = list(ds.behavior.values).index(name)
    return mask_to_bouts(mask_of(ds, key, annotator)[:, column]).tolist()


# ------------------------------------------------------------------ projects


@pytest.mark.parametrize("name", ["p.boris", "p.boris.gz"])
def test_states_points_and_image_indices(bare_store, tmp_path, name):
    ds = bare_store({"M1/S1/1": 100})
    events = [
        [0.004, "", "lift", "", ""],
        [0.02, "", "lift", "", "", "NA"],
        [0.031, "", "chew", "", "", 15],
        [0.05, "", "grab", "", "", 24],
        [0.1, "", "grab", "", "", 49],
    ]
    ds, report = boris.read(
        ds, project(tmp_path / name, {"x": observation(events)}), annotator="Ana"
    )
    assert bouts_of(ds, "M1/S1/1", "lift") == [[2, 10]]
    assert bouts_of(ds, "M1/S1/1", "chew") == [[15, 16]]
    # The pictures say so; by their times it would be [25, 50].
    assert bouts_of(ds, "M1/S1/1", "grab") == [[24, 49]]
    assert report.names == {"x": "M1/S1/1"}
    mask = mask_of(ds, "M1/S1/1", "Ana")
    assert set(np.unique(mask[:, [0, 2, 5]])) == {0, 1}
    # Of these the project has none: nobody looked for them.
    assert (mask[:, [1, 3, 4]] == -1).all()
    assert "of handopen, supinate, atmouth nothing is said" in repr(report)


def test_what_labels_have_no_place_for_is_told(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100, "M1/S1/2": 100})
    events = [
        [0.004, "", "lift", "left", "very high"],
        [0.02, "", "lift", "left", ""],
        [0.031, "", "chew", "", "aloud", "NA"],
    ]
    one = observation(events, description="it rained", independent_variables={"weather": "wet"})
    other = observation([[0.1, "", "chew", "", "too"]], {"1": [VIDEO.replace("001", "002")]})
    other["independent_variables"] = {"weather": "dry", "Observer": "Ana", "mood": ""}
    path = project(tmp_path / "p.boris", {"x": one, "y": other})
    content = json.loads(path.read_text())
    content["project_description"] = "winter"
    content["behaviors_conf"]["0"]["category"] = "paws"
    path.write_text(json.dumps(content))
    _, report = boris.read(ds, path, annotator="Ana")
    assert set(report.left) == {
        "modifiers of 'lift'",
        "comments of 3 event(s)",
        "descriptions of 1 observation(s)",
        "independent variable 'weather'",
        "the project's description",
        "behavioral categories",
    }


def test_of_an_own_project_nothing_is_left(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 30})
    ds = ds.sel(animal="M1").soup.annotate(random_mask(30, 6, 1, unlabelled=True), annotator="Ana")
    path = boris.write(ds, tmp_path / "out.boris", annotator="Ana")
    _, report = boris.read(ds, path, overwrite=True)
    assert report.left == ()


def test_a_point_at_the_very_end_is_of_the_last_frame(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    events = [[0.2, "", "chew", "", ""]]
    path = project(tmp_path / "p.boris", {"x": observation(events)})
    ds, report = boris.read(ds, path, annotator="Ana")
    assert bouts_of(ds, "M1/S1/1", "chew") == [[99, 100]]
    assert "it counts for the last frame" in repr(report)


def test_names_that_the_file_does_not_have_are_told(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    path = project(tmp_path / "p.boris", {"x": observation([[0.1, "", "chew", "", ""]])})
    names = {"Lifft": "lift", "grab": "grab"}
    trials = {"y": "M1/S1/1"}
    _, report = boris.read(ds, path, annotator="Ana", behaviors=names, trials=trials)
    assert "behaviors: there is no 'Lifft' in the file" in report.notes
    assert report.notes[-1] == "trials: there is no 'y' in the file"


def test_what_is_left_out_is_unlabelled_and_not_absent(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100, "M1/S1/2": 100})
    events = [
        [0.004, "", "lift", "", ""],
        [0.02, "", "lift", "", ""],
        [0.031, "", "chew", "", ""],
        [0.05, "", "Pull", "", ""],
        [0.1, "", "Pull", "", ""],
    ]
    both = {"x": observation(events), "y": observation([], {"1": ["reach_side_v002.mp4"]})}
    path = project(tmp_path / "p.boris", both, codes=("lift", "Pull"))
    names = {"lift": None, "Pull": "grab"}
    ds, _ = boris.read(ds, path, annotator="Ana", behaviors=names, points="leave")
    assert bouts_of(ds, "M1/S1/1", "grab") == [[25, 50]]
    assert (mask_of(ds, "M1/S1/1", "Ana")[:, [0, 5]] == -1).all()
    # No chewing was left out of the other.
    assert (mask_of(ds, "M1/S1/2", "Ana")[:, [2, 5]] == 0).all()


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ms=st.integers(0, 150), length=st.integers(1, 40))
def test_milliseconds_at_500_hz_round_to_the_nearest_edge_halves_to_the_even(
    bare_store, tmp_path_factory, ms, length
):
    from soupxr.io.boris.observation import Bout, Media, Moment
    from soupxr.io.boris.placing import _frames, _Shown
    from soupxr.store import StoredTrial

    trial = StoredTrial("M1/S1/1", 0, "M1", "S1", 1, (), 100, 500.0, "")
    bout = Bout("lift", "", Moment(ms / 1000), Moment((ms + length) / 1000), "")
    first, last = _frames(_Shown(Media(VIDEO), trial), bout.start, bout.stop, None, bout)

    def edge(milliseconds):
        whole, half = divmod(milliseconds, 2)
        return whole + (half and whole % 2)

    if edge(ms) == edge(ms + length):
        assert (first, last) == (ms // 2, ms // 2 + 1)
    else:
        assert (first, last) == (edge(ms), edge(ms + length))


def test_an_index_far_from_its_time_is_told(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    events = [[0.004, "", "lift", "", "", 40], [0.1, "", "lift", "", "", 50]]
    ds, report = boris.read(
        ds, project(tmp_path / "p.boris", {"x": observation(events)}), annotator="Ana"
    )
    assert bouts_of(ds, "M1/S1/1", "lift") == [[40, 50]]
    assert "image index 40 is not where its time is (frame 2.0); the index counts" in repr(report)


def test_unpaired_events_are_named_and_refused_or_closed(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    events = [
        [0.01, "", "lift", "", ""],
        [0.02, "", "lift", "", ""],
        [0.1, "", "lift", "", ""],
    ]
    path = project(tmp_path / "p.boris", {"x": observation(events)})
    with pytest.raises(FormatError, match=r"event 3: lift at 0\.1 s has no STOP"):
        boris.read(ds, path, annotator="Ana")
    ds, report = boris.read(ds, path, annotator="Ana", unpaired="close")
    assert bouts_of(ds, "M1/S1/1", "lift") == [[5, 10], [50, 100]]
    assert "lasts to the end of the observation" in repr(report)


def test_several_subjects(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    events = [
        [0.01, "A", "lift", "", ""],
        [0.015, "B", "lift", "", ""],
        [0.02, "A", "lift", "", ""],
        [0.03, "B", "lift", "", ""],
        [0.05, "", "lift", "", ""],
        [0.06, "", "lift", "", ""],
    ]
    path = project(tmp_path / "p.boris", {"x": observation(events)})
    with pytest.raises(FormatError, match=r"3 subjects, \['A', 'B', 'No focal subject'\]"):
        boris.read(ds, path, annotator="Ana")
    for subject, expected in [("A", [[5, 10]]), ("B", [[8, 15]]), ("No focal subject", [[25, 30]])]:
        ds, report = boris.read(ds, path, annotator=subject, subject=subject)
        assert bouts_of(ds, "M1/S1/1", "lift", subject) == expected
        assert "left  events of subject" in repr(report)


def test_a_subject_that_nobody_is(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100, "M1/S1/2": 100})
    events = [[0.01, "A", "lift", "", ""], [0.02, "A", "lift", "", ""]]
    other = observation([[0.01, "B", "chew", "", ""]], {"1": ["M1/S1/reach_side_v002.mp4"]})
    path = project(tmp_path / "p.boris", {"x": observation(events), "y": other})
    with pytest.raises(ArgumentError, match=r"subject: expected one of \['A', 'B'\].*'a'"):
        boris.read(ds, path, annotator="Ana", subject="a")
    ds, report = boris.read(ds, path, annotator="Ana", subject="A")
    assert "observation 'y': has no event of subject 'A', so no behavior occurs" in repr(report)


def test_several_observers(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    by = [
        observation(
            [[0.01, "", "lift", "", ""], [stop, "", "lift", "", ""]],
            independent_variables={"Observer": name},
        )
        for name, stop in (("Ana", 0.02), ("Ben", 0.03))
    ]
    path = project(tmp_path / "p.boris", dict(zip("ab", by, strict=True)))
    with pytest.raises(FormatError, match="labels of 'Cy' for M1/S1/1 are there twice"):
        boris.read(ds, path, annotator="Cy")
    ds, _ = boris.read(ds, path)
    assert bouts_of(ds, "M1/S1/1", "lift", "Ana") == [[5, 10]]
    assert bouts_of(ds, "M1/S1/1", "lift", "Ben") == [[5, 15]]
    ds, report = boris.read(ds, path, annotator="Cy", observations=["b"])
    assert bouts_of(ds, "M1/S1/1", "lift", "Cy") == [[5, 15]]
    assert "observation 'a', as asked" in repr(report)
    with pytest.raises(ArgumentError, match=r"some of \['a', 'b'\]"):
        boris.read(ds, path, observations=["c"])


def test_files_one_after_the_other_and_an_offset_of_the_observation(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100, "M1/S1/2": 100})
    files = {"1": [VIDEO, VIDEO.replace("001", "002")], "2": []}
    events = [
        [10.18, "", "lift", "", ""],
        [10.24, "", "lift", "", ""],
        [10.3, "", "grab", "", "", 50],
        [10.31, "", "grab", "", "", 55],
    ]
    path = project(tmp_path / "p.boris", {"x": observation(events, files, offset=10.0)})
    ds, _ = boris.read(ds, path, annotator="Ana")
    assert bouts_of(ds, "M1/S1/1", "lift") == [[90, 100]]
    assert bouts_of(ds, "M1/S1/2", "lift") == [[0, 20]]
    assert bouts_of(ds, "M1/S1/2", "grab") == [[50, 55]]


def test_two_players_and_the_offset_of_the_second(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    front = "/elsewhere/M1/S1/reach_front_v001.mp4"
    events = [[0.11, "", "lift", "", "", 55], [0.12, "", "lift", "", "", 60]]
    both = observation(events, {"1": [VIDEO], "2": [front]}, offsets={"1": 0.0, "2": 0.1})
    ds, _ = boris.read(ds, project(tmp_path / "p.boris", {"x": both}), annotator="Ana")
    assert bouts_of(ds, "M1/S1/1", "lift") == [[55, 60]]
    # The store knows the second player's film only: it begins a tenth of a second later, and
    # image indices count frames of the first.
    other = observation(
        events, {"1": ["/x/overview.mp4"], "2": [front]}, offsets={"1": 0.0, "2": 0.1}
    )
    ds, _ = boris.read(ds, project(tmp_path / "q.boris", {"x": other}), annotator="Ben")
    assert bouts_of(ds, "M1/S1/1", "lift", "Ben") == [[5, 10]]


def test_what_lies_outside_the_observed_interval_is_unlabelled(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    one = observation([[0.05, "", "lift", "", ""], [0.06, "", "lift", "", ""]])
    one["observation time interval"] = [0.04, 0.1]
    ds, _ = boris.read(ds, project(tmp_path / "p.boris", {"x": one}), annotator="Ana")
    mask = mask_of(ds, "M1/S1/1", "Ana")
    assert (mask[:20] == -1).all()
    assert (mask[50:] == -1).all()
    assert mask[20:50, 0].tolist() == [0] * 5 + [1] * 5 + [0] * 20


def test_pictures_count_from_one(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    one = observation(
        [["NA", "", "lift", "", "", 3, "a/3.png"], ["NA", "", "lift", "", "", 9, "a/9.png"]]
    )
    one |= {"type": "IMAGES", "directories_list": ["/pictures/reach_side_v001"], "file": {}}
    ds, _ = boris.read(ds, project(tmp_path / "p.boris", {"x": one}), annotator="Ana")
    assert bouts_of(ds, "M1/S1/1", "lift") == [[2, 8]]


def test_what_does_not_fit_is_told_at_once(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    observations = {
        "x": observation(
            [
                [0.01, "", "hop", "", ""],
                [0.02, "", "hop", "", ""],
                ["soon", "", "lift", "", ""],
                [0.1],
                [0.19, "", "lift", "", ""],
                [3.0, "", "lift", "", ""],
            ]
        ),
        "other": observation([], {"1": ["/x/y.mp4"], "2": []}),
    }
    path = project(tmp_path / "p.boris", observations, codes=("lift", "hop"))
    with pytest.raises(FormatError) as error:
        boris.read(ds, path, annotator="Ana")
    told = str(error.value)
    for part in (
        "behavior 'hop': expected one of",
        "event 3: expected a time, but got 'soon'",
        "event 4: expected time, subject, code and modifier",
        "event 5: lift at 0.19 s: lasts from frame 95 to 1500, but the trial has 100 frames",
        "trial '/x/y.mp4': not among the 1 selected trials",
    ):
        assert part in told
    assert sx.open(ds.attrs["soupxr_store"]).sizes["annotator"] == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "not a project of BORIS, or it is damaged"),
        (b"\x1f\x8bnot gzip", "not a project of BORIS, or it is damaged"),
        (b'{"a": 1}', "it has no behaviors_conf"),
        (b'{"behaviors_conf": {}}', "found none"),
    ],
)
def test_damaged_projects(bare_store, tmp_path, content, told):
    ds = bare_store({"M1/S1/1": 100})
    (tmp_path / "p.boris").write_bytes(content)
    with pytest.raises(FormatError, match=told):
        boris.read(ds, tmp_path / "p.boris", annotator="Ana")


def test_nobody_says_who_labelled(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    with pytest.raises(ArgumentError, match="annotator: expected who labelled"):
        boris.read(ds, project(tmp_path / "p.boris", {"x": observation([])}))


# ------------------------------------------------------------------ exports

TABULAR = (
    "Observation id,Observation date,Description,Observation duration,Observation type,Source,"
    "Time offset (s),Media duration (s),FPS,{variables}Subject,{behavior},Behavioral category,"
    "Behavior type,Time,Media file name,Image index,Image file path,Comment"
)


def tabular(path, rows, delimiter=",", word="Behavior", variables="Observer,", source=None):
    lines = [TABULAR.format(behavior=word, variables=variables).replace(",", delimiter)]
    for code, kind, time, index, subject, observer in rows:
        cells = ["obs1", "2026-03-01 10:00:00", "", "0.2", "Media file(s)"]
        cells += [source or f"player #1:{VIDEO}", "0.0", "0.200", "500.000"]
        cells += [observer] if variables else []
        cells += [subject, code, "", kind, f"{time:.3f}", VIDEO, str(index), "NA", ""]
        lines.append(delimiter.join(cells))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(("delimiter", "suffix"), [(",", ".csv"), ("\t", ".tsv")])
@pytest.mark.parametrize("word", ["Behavior", "Behaviour"])
def test_tabular_exports(bare_store, tmp_path, delimiter, suffix, word):
    ds = bare_store({"M1/S1/1": 100})
    rows = [
        ("lift", "START", 0.004, "NA", "No focal subject", "Ana"),
        ("chew", "POINT", 0.031, 15, "No focal subject", "Ana"),
        ("lift", "STOP", 0.02, "NA", "No focal subject", "Ana"),
        ("grab", "START", 0.05, 24, "No focal subject", "Ana"),
        ("grab", "STOP", 0.1, 49, "No focal subject", "Ana"),
    ]
    path = tabular(tmp_path / f"e{suffix}", rows, delimiter, word)
    ds, report = boris.read(ds, path)
    assert bouts_of(ds, "M1/S1/1", "lift") == [[2, 10]]
    assert bouts_of(ds, "M1/S1/1", "chew") == [[15, 16]]
    assert bouts_of(ds, "M1/S1/1", "grab") == [[24, 49]]
    assert boris.behaviors(path) == ["lift", "chew", "grab"]
    assert report.annotations == {"Ana": ("M1/S1/1",)}


def test_what_a_tabular_export_holds_besides_is_told(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    path = tmp_path / "e.tsv"
    head = "Observation id,Observation date,Description,weather,mood,Observer,Subject,Behavior"
    head += ",Behavioral category,Modifier #1,Behavior type,Time,Media file name,Comment"
    rows = [
        f"x,2026,it rained,wet,,Ana,,lift,paws,left,START,0.004,{VIDEO},high",
        f"x,2026,it rained,wet,,Ana,,lift,paws,left,STOP,0.02,{VIDEO},",
        f"x,2026,it rained,wet,,Ana,,chew,Not defined,None,POINT,0.1,{VIDEO},NA",
    ]
    path.write_text("\n".join([head, *rows]).replace(",", "\t"))
    _, report = boris.read(ds, path)
    assert set(report.left) == {
        "modifiers of 'lift'",
        "comments of 1 event(s)",
        "descriptions of 1 observation(s)",
        "independent variable 'weather'",
        "behavioral categories",
    }


def test_unpaired_rows_of_a_tabular_export(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    rows = [("lift", "STOP", 0.02, "NA", "", "Ana"), ("grab", "START", 0.05, "NA", "", "Ana")]
    with pytest.raises(FormatError) as error:
        boris.read(ds, tabular(tmp_path / "e.csv", rows))
    assert "e.csv, row 2: lift at 0.02 s has no START before it" in str(error.value)
    assert "e.csv, row 3: grab at 0.05 s has no STOP" in str(error.value)


def test_tabular_export_of_several_files_and_players(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100, "M1/S1/2": 100})
    second = VIDEO.replace("001", "002")
    source = f"player #1:{VIDEO};{second}|player #2:/x/overview.mp4"
    rows = [("lift", "START", 0.18, "NA", "", "Ana"), ("lift", "STOP", 0.24, "NA", "", "Ana")]
    path = tabular(tmp_path / "e.csv", rows, source=source)
    path.write_text(path.read_text().replace(",0.200,500", ",0.200;0.200|1.000,500"))
    ds, _ = boris.read(ds, path)
    assert bouts_of(ds, "M1/S1/1", "lift") == [[90, 100]]
    assert bouts_of(ds, "M1/S1/2", "lift") == [[0, 20]]


def test_old_tabular_exports_tell_of_the_observation_first(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    path = tmp_path / "old.tsv"
    path.write_text(
        "Observation id\tfirst\n\nMedia file(s)\n\nObservation date\t2017-01-01\n"
        "Time offset (s)\t0\n\n"
        "Time\tMedia file path\tTotal length\tFPS\tSubject\tBehavior\tBehavioral category\t"
        "Comment\tStatus\n"
        f"0.004\t{VIDEO}\t0.2\t500\tA\tlift\t\t\tSTART\n"
        f"0.02\t{VIDEO}\t0.2\t500\tA\tlift\t\t\tSTOP\n"
    )
    ds, report = boris.read(ds, path, annotator="Ana")
    assert bouts_of(ds, "M1/S1/1", "lift") == [[2, 10]]
    assert report.names == {"first": "M1/S1/1"}
    assert report.left == ()


def as_table(path, lines):
    """Write lines of CSV as what a file's name says."""
    if path.suffix == ".xlsx":
        book = pytest.importorskip("openpyxl").Workbook()
        for line in lines:
            # Numbers are numbers there, and what is empty is nothing.
            cells = [cell or None for cell in line.split(",")]
            book.active.append([_as_number(cell) for cell in cells])
        book.save(path)
    else:
        text = "\n".join(lines) + "\n"
        path.write_text(text.replace(",", "\t") if path.suffix == ".tsv" else text)
    return path


def _as_number(cell):
    try:
        return float(cell)
    except (TypeError, ValueError):
        return cell


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".xlsx"])
@pytest.mark.parametrize("word", ["Behavior", "Behaviour"])
def test_aggregated_exports(bare_store, tmp_path, suffix, word):
    ds = bare_store({"M1/S1/1": 100, "M1/S1/2": 100})
    header = (
        "Observation id,Observation date,Description,Observation type,Source,Time offset (s),"
        "Coding duration,Media duration (s),FPS (frame/s),Subject,"
        f"Observation duration by subject by observation,{word},{word}al category,"
        f"Modifier #1,{word} type,Start (s),Stop (s),Duration (s),Media file name,"
        "Image index start,Image index stop,Image file path start,Image file path stop,"
        "Comment start,Comment stop"
    )

    def row(number, code, modifier, kind, start, stop, indices=("NA", "NA"), comment=""):
        video = VIDEO.replace("001", f"{number:03d}")
        return (
            f"obs{number},2026,,Media file,player #1:{video},0.0,0.2,0.200,500.000,"
            f"No focal subject,0.1,{code},Not defined,{modifier},{kind},{start:.3f},{stop:.3f},"
            f"0.1,{video},{indices[0]},{indices[1]},NA,NA,,{comment}"
        )

    lines = [
        header,
        row(1, "lift", "left", "STATE", 0.004, 0.02),
        row(1, "lift", "right", "STATE", 0.01, 0.03),
        row(1, "lift", "left", "STATE", 0.02, 0.028),
        row(1, "chew", "", "POINT", 0.031, 0.031),
        row(2, "grab", "", "STATE", 0.05, 0.1, (24, 49), "missed"),
    ]
    path = as_table(tmp_path / f"a{suffix}", lines)
    ds, report = boris.read(ds, path, annotator="Ana")
    assert bouts_of(ds, "M1/S1/1", "lift") == [[2, 15]]
    assert bouts_of(ds, "M1/S1/1", "chew") == [[15, 16]]
    assert bouts_of(ds, "M1/S1/2", "grab") == [[24, 49]]
    assert report.left == ("modifiers of 'lift'", "comments of 1 event(s)")
    assert boris.behaviors(path) == ["lift", "chew", "grab"]
    assert mask_of(ds, "M1/S1/2", "Ana").max(axis=0).tolist() == [0, 0, 1, 0, 0, 0]


@pytest.mark.parametrize("kind", ["tabular_{}.tsv", "aggregated_{}.csv"])
def test_exports_that_boris_made_of_our_project(bare_store, kind):
    """Written by BORIS 8.27.4, after it had opened what ``boris.write`` made of these masks."""
    data = Path(__file__).parent / "data"
    paths = [data / f"boris_8.27.4_{kind.format(n)}" for n in (1, 2)]
    video = "{animal}/{session}/s_{view}_v{trial_id}.mp4"
    ds = bare_store({"M1/S1/1": 60, "M1/S1/2": 60}, video=video)
    ds, report = boris.read(ds, paths)
    assert report.annotations == {"Ana": ("M1/S1/1", "M1/S1/2")}
    assert report.left == ()
    for n in (1, 2):
        truth = random_mask(60, 6, n, unlabelled=True)
        assert (mask_of(ds, f"M1/S1/{n}", "Ana") == truth).all()


def test_aggregated_rows_in_any_order(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    head = "Observation id,Subject,Behavior,Behavior type,Start (s),Stop (s),Media file name"
    rows = [("lift", 0.1, 0.12), ("lift", 0.05, 0.1), ("grab", 0.02, 0.1), ("grab", 0.04, 0.2)]
    lines = [f"x,,{name},STATE,{start},{stop},{VIDEO}" for name, start, stop in rows]
    (tmp_path / "a.csv").write_text("\n".join([head, *lines]))
    ds, report = boris.read(ds, tmp_path / "a.csv", annotator="Ana")
    assert bouts_of(ds, "M1/S1/1", "lift") == [[25, 60]]
    assert bouts_of(ds, "M1/S1/1", "grab") == [[10, 100]]
    assert "bouts of grab overlap, and are one" in repr(report)


def test_the_same_file_name_of_another_animal(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100, "M2/S1/1": 100})
    events = [[0.01, "", "lift", "", ""], [0.02, "", "lift", "", ""]]
    videos = {"x": "/data/M1/S1/reach_side_v001.mp4", "y": "/data/M2/S1/reach_side_v001.mp4"}
    both = {name: observation(events, {"1": [video]}) for name, video in videos.items()}
    path = project(tmp_path / "p.boris", both)
    _, report = boris.read(ds.sel(animal=["M1"]), path, annotator="Ana", missing="leave")
    assert report.annotations == {"Ana": ("M1/S1/1",)}
    assert "reach_side_v001.mp4', which the store does not have" in repr(report)
    # Nor is it M1's where the store has no M2 at all.
    alone = bare_store({"M1/S1/1": 100}, name="alone.zarr")
    with pytest.raises(FormatError, match=r"trial '/data/M2/S1/reach_side_v001\.mp4': not among"):
        boris.read(alone, path, annotator="Ana")


def test_a_video_in_another_folder_is_told(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    seen = observation([], {"1": ["C:\\films\\reach_side_v001.mp4"]})
    ds, report = boris.read(ds, project(tmp_path / "p.boris", {"x": seen}), annotator="Ana")
    assert "is taken for M1/S1/1 by its name; its folder is another" in repr(report)


def test_a_table_that_is_not_from_boris(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100})
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FormatError, match=r"read other tables with soupxr\.io\.tables"):
        boris.read(ds, tmp_path / "t.csv", annotator="Ana")


# ------------------------------------------------------------------ out, and back


@pytest.mark.parametrize("fps", [24.0, 29.97, 120.0005, 499.7, 500.0, 1000.0])
@pytest.mark.parametrize("indices", ["kept", "dropped"])
def test_round_trip_to_the_frame(bare_store, tmp_path, fps, indices):
    keys = {"M1/S1/1": 700, "M1/S2/1": 333}
    ds = bare_store(keys, fps=fps)
    masks = {key: random_mask(n, 6, seed, True) for seed, (key, n) in enumerate(keys.items())}
    for key, mask in masks.items():
        _, session, _ = key.split("/")
        ds.sel(animal="M1", session=session).soup.annotate(mask, annotator="Ana")
    ds = sx.open(ds.attrs["soupxr_store"])
    path = boris.write(ds, tmp_path / "out.boris.gz", annotator="Ana")
    content = json.loads(gzip.decompress(path.read_bytes()))
    for one in content["observations"].values():
        one["independent_variables"] = {}
        for event in one["events"]:
            # What BORIS does with a time when it opens a project.
            assert event[0] == round(event[0], 3)
            if indices == "dropped":
                event[5] = "NA"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    ds, _ = boris.read(ds, path, annotator="back")
    for key, mask in masks.items():
        assert (mask_of(ds, key, "back") == mask).all()


def test_predictions_go_to_boris_and_come_back_corrected(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 100, "M1/S1/2": 100})
    probability = np.zeros((100, 6), np.float32)
    probability[10:20, 0] = probability[95:, 2] = 0.9
    put_result(ds, "M1/S1/1", probability)
    path = boris.write(ds, tmp_path / "out.boris", mode="fast")
    content = json.loads(path.read_text())
    record = json.loads(content["project_description"])
    assert record["made"][0]["sequence_model"] == "a" * 64
    (name,) = content["observations"]
    one = content["observations"][name]
    assert one["events"] == [
        [0.02, "", "lift", "", "", 10],
        [0.04, "", "lift", "", "", 20],
        [0.19, "", "grab", "", "", 95],
        [0.2, "", "grab", "", "", 100],
    ]
    assert one["file"]["1"] == ["videos/M1/S1/reach_side_v001.mp4"]
    assert one["file"]["2"] == ["videos/M1/S1/reach_front_v001.mp4"]
    assert {b["type"] for b in content["behaviors_conf"].values()} == {"State event"}
    one["events"][1] = [0.05, "", "lift", "", "", 25]
    path.write_text(json.dumps(content))
    ds, _ = boris.read(ds, path, annotator="cleaned")
    assert bouts_of(ds, "M1/S1/1", "lift", "cleaned") == [[10, 25]]
    assert bouts_of(ds, "M1/S1/1", "grab", "cleaned") == [[95, 100]]
    assert (mask_of(ds, "M1/S1/2", "cleaned") == -1).all()


def test_an_annotator_is_known_again(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 30})
    ds = ds.sel(animal="M1").soup.annotate(random_mask(30, 6, 1), annotator="Ana")
    path = boris.write(ds, tmp_path / "out.boris", annotator="Ana")
    with pytest.raises(FormatError, match="'Ana' has labelled this trial already"):
        boris.read(ds, path)
    boris.read(ds, path, overwrite=True)


def test_what_is_missing_is_no_behavior(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 10}, behaviors=["lift", "grab"])
    labels = np.full((10, 2), -1, np.int8)
    labels[3:5] = 0
    ds = ds.soup.annotate(labels, annotator="Ana")
    path = boris.write(ds, tmp_path / "p.boris", annotator="Ana")
    assert boris.behaviors(path) == ["lift", "grab"]


@pytest.mark.parametrize("name", ["unlabelled", "None", "a|"])
def test_a_behavior_that_would_come_back_as_a_gap(bare_store, tmp_path, name):
    ds = bare_store({"M1/S1/1": 10}, behaviors=["lift", name])
    labels = np.zeros((10, 2), np.int8)
    labels[2:4] = 1
    whole = ds.soup.annotate(labels, annotator="whole")
    back, _ = boris.read(
        whole, boris.write(whole, tmp_path / "w.boris", annotator="whole"), annotator="back"
    )
    assert np.array_equal(mask_of(back, "M1/S1/1", "back"), labels)
    labels[5, 1] = -1
    ds = whole.soup.annotate(labels, annotator="Ana")
    with pytest.raises(ArgumentError, match="cannot be told from them"):
        boris.write(ds, tmp_path / "p.boris", annotator="Ana")
    assert not (tmp_path / "p.boris").exists()


def test_what_cannot_be_written(bare_store, tmp_path):
    ds = bare_store({"M1/S1/1": 30}, fps=2000.0)
    ds = ds.sel(animal="M1").soup.annotate(random_mask(30, 6, 1), annotator="Ana")
    with pytest.raises(ArgumentError, match="keeps milliseconds"):
        boris.write(ds, tmp_path / "out.boris", annotator="Ana")
    with pytest.raises(ArgumentError, match=r"ends in \.boris"):
        boris.write(ds, tmp_path / "out.json", annotator="Ana")
    assert not list(tmp_path.glob("*out*"))
    assert math.isfinite(ds.fps.values[0])
