"""Finding and judging videos: everything wrong is told at once, and nothing is written."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

import soupxr as sx
from soupxr import ingest
from soupxr.ingest import _view_and_trial, compile_pattern, resolve_video, survey

VIEWS = ("side", "front")


def keys(rows):
    return [row.key for row in rows]


def test_animal_session_and_trial(lab):
    root = lab("M1/S1/1", "M1/S1/10", "M1/S2/1", "M2/S1/1")
    assert keys(survey(root, VIEWS, "M1")) == ["M1/S1/1", "M1/S1/10", "M1/S2/1"]
    assert keys(survey(root, VIEWS, "M1", "S1")) == ["M1/S1/1", "M1/S1/10"]
    assert keys(survey(root, VIEWS, "M1", "S1", 1)) == ["M1/S1/1"]
    assert keys(survey(root, VIEWS, "M1", "S1", 10)) == ["M1/S1/10"]


def test_a_row_holds_what_was_measured(lab):
    root = lab("M1/S1/3", n_frames=23)
    (row,) = survey(root, VIEWS, "M1")
    assert row.video_paths == ("M1/S1/reach_side_v003.mp4", "M1/S1/reach_front_v003.mp4")
    assert (row.n_frames, row.fps) == (23, 100.0)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("run_front_v001.mp4", ("front", 1)),
        ("20210602_M1_side_v12.avi", ("side", 12)),
        ("trial7-FRONT.mov", ("front", 7)),
        ("front.mp4", None),
        ("cam1_v3.mp4", None),
        ("side_front_v3.mp4", None),
    ],
)
def test_default_names(name, found):
    assert _view_and_trial(name, VIEWS, None) == found


@given(
    trial=st.integers(0, 10**6),
    view=st.sampled_from(VIEWS),
    before=st.from_regex(r"[a-z0-9_]{0,8}_", fullmatch=True),
)
def test_last_run_of_digits_is_the_trial(trial, view, before):
    if not any(other in before for other in VIEWS):
        assert _view_and_trial(f"{before}{view}_v{trial:03d}.mp4", VIEWS, None) == (view, trial)


def test_pattern(lab, film):
    root = lab()
    film(root / "M1/S1/7_left_2021.mp4")
    film(root / "M1/S1/7_right_2021.mp4")
    pattern = r"(?P<trial_id>\d+)_(?P<view>left|right)_"
    rows = survey(root, ("left", "right"), "M1", pattern=pattern)
    assert keys(rows) == ["M1/S1/7"]


def test_a_pattern_that_never_ends_is_given_up(lab, film, monkeypatch):
    root = lab("M1/S1/1")
    (root / "M1/S1" / f"{'a' * 60}.mp4").touch()
    monkeypatch.setattr(ingest, "PATTERN_S", 0.1)
    pattern = r"^(a|aa)+(?P<view>side)?(?P<trial_id>\d+)?$"
    with pytest.raises(
        sx.ArgumentError, match=r"pattern: expected one that is through.*'a{60}\.mp4'"
    ):
        survey(root, VIEWS, "M1", pattern=pattern)


@pytest.mark.parametrize("pattern", ["(", "(?P<view>side)", 3])
def test_bad_patterns_show_a_good_one(pattern):
    with pytest.raises(sx.ArgumentError, match="Example"):
        compile_pattern(pattern)


def test_one_view_and_three(lab):
    root = lab("M1/S1/1", views=("side",))
    assert keys(survey(root, ("side",), "M1")) == ["M1/S1/1"]
    root = lab("M2/S1/1", views=("side", "front", "top"))
    (row,) = survey(root, ("side", "front", "top"), "M2")
    assert len(row.video_paths) == 3


def test_one_view_need_not_be_in_the_name(lab, film):
    root = lab()
    film(root / "M1/S1/trial_004.mp4")
    assert keys(survey(root, ("camera",), "M1")) == ["M1/S1/4"]


def test_files_that_are_no_trials_are_left_out_with_a_warning(lab, film):
    root = lab("M1/S1/1")
    film(root / "M1/S1/calibration.mp4")
    (root / "M1/S1/._reach_side_v001.mp4").write_bytes(b"mac")
    (root / "M1/S1/notes.txt").write_text("v1")
    with pytest.warns(sx.SoupWarning, match=r"calibration\.mp4"):
        assert keys(survey(root, VIEWS, "M1")) == ["M1/S1/1"]


def test_every_problem_of_every_file_is_told_at_once(lab, film):
    root = lab("M1/S1/1", "M1/S1/2", "M1/S1/3", "M1/S1/4", "M1/S1/5", "M1/S1/6")
    session = root / "M1/S1"
    (session / "reach_front_v002.mp4").unlink()
    (session / "reach_side_v003.mp4").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    film(session / "reach_front_v004.mp4", fps=50)
    film(session / "reach_front_v005.mp4", height=64)
    film(session / "again_side_v006.mp4")
    with pytest.raises(sx.IngestError) as caught:
        survey(root, VIEWS, "M1", existing={"M1/S1/1"})
    text = str(caught.value)
    for told in (
        "M1/S1/1: is in the store already",
        "M1/S1/2: the front view is missing beside",
        "reach_side_v003.mp4",
        "different frame rates: side 100 Hz",
        "different heights: side 48x32",
        "front 48x64",
        'join="pad"',
        "M1/S1/6: more than one side video",
        "nothing was added",
    ):
        assert told in text


def test_padding_allows_different_heights(lab, film):
    root = lab("M1/S1/1")
    film(root / "M1/S1/reach_front_v001.mp4", height=64)
    assert len(survey(root, VIEWS, "M1", join="pad")) == 1


def test_the_shorter_view_counts_with_one_warning(lab, film):
    root = lab("M1/S1/1", "M1/S1/2")
    film(root / "M1/S1/reach_front_v001.mp4", n_frames=11)
    film(root / "M1/S1/reach_side_v002.mp4", n_frames=9)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rows = survey(root, VIEWS, "M1")
    assert [row.n_frames for row in rows] == [11, 9]
    assert len(caught) == 1
    assert "M1/S1/1: side 12, front 11 frames; 11 are used" in str(caught[0].message)


@pytest.mark.parametrize("name", ["", "..", ".", "../x", "/etc", "a/b", "a\\b", "a\nb", 3, None])
def test_names_that_would_leave_data_root_are_refused(lab, name):
    with pytest.raises(sx.ArgumentError):
        survey(lab("M1/S1/1"), VIEWS, name)
    if name is not None:
        with pytest.raises(sx.ArgumentError):
            survey(lab(), VIEWS, "M1", name)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.mp4", "a/../../x.mp4", "C:\\x.mp4"])
def test_stored_paths_that_would_leave_data_root_are_refused(tmp_path, path):
    with pytest.raises(sx.ArgumentError, match="below data_root"):
        resolve_video(tmp_path, path)


def test_absent_folders_are_named(lab):
    root = lab("M1/S1/1")
    with pytest.raises(sx.IngestError, match="M9"):
        survey(root, VIEWS, "M9")
    with pytest.raises(sx.IngestError, match="S9"):
        survey(root, VIEWS, "M1", "S9")
    with pytest.raises(sx.IngestError, match="M1/S1/7: expected videos of side and front"):
        survey(root, VIEWS, "M1", "S1", 7)


def test_a_trial_needs_its_session(lab):
    with pytest.raises(sx.ArgumentError, match="session"):
        survey(lab("M1/S1/1"), VIEWS, "M1", None, 1)
