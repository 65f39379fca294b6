"""Rendered trials: the truth is the cause of the pictures, and the videos hold every frame."""

from __future__ import annotations

import subprocess

import imageio_ffmpeg
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soupxr.errors import ArgumentError, VideoError
from soupxr.modes import BEHAVIORS
from soupxr.synthetic import OUTCOMES, read_truth, render_trial, write_dataset
from soupxr.synthetic.anatomy import AT_MOUTH
from soupxr.video import probe

SMALL = {"height": 64, "width": 48}
TINY = {"height": 32, "width": 32}


def column(trial, behavior: str) -> np.ndarray:
    return trial.truth[:, BEHAVIORS.index(behavior)] == 1


def onsets(trial) -> dict[str, int]:
    return {b: int(column(trial, b).argmax()) for b in BEHAVIORS if column(trial, b).any()}


def decode(path, height: int, width: int) -> np.ndarray:
    """Every frame of a video, grey, by ffmpeg alone: (frame, y, x)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", str(path)]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width)


# ------------------------------------------------------------------ truth


def test_a_successful_reach_shows_every_behavior_in_its_order():
    for seed in range(40):
        animal = f"M{1 + seed % 8}"
        trial = render_trial(animal, seed=seed, n_frames=300, outcome="success", **TINY)
        assert list(onsets(trial)) == list(BEHAVIORS)
        first = list(onsets(trial).values())
        assert first == sorted(first)


@pytest.mark.parametrize(
    ("outcome", "behaviors"),
    [
        ("none", set()),
        ("closed", {"lift"}),
        ("abort", {"lift", "handopen"}),
        ("miss", {"lift", "handopen", "grab", "supinate", "atmouth"}),
        ("success", set(BEHAVIORS)),
    ],
)
def test_outcomes(outcome, behaviors):
    seen = set()
    for seed in range(12):
        # The animal tries again after a while: look at its first attempt only.
        trial = render_trial(seed=seed, n_frames=1000, outcome=outcome, **TINY)
        again = np.flatnonzero(np.diff(column(trial, "lift").astype(int)) == 1)
        stop = again[1] if len(again) > 1 else trial.n_frames
        seen |= {b for b in BEHAVIORS if column(trial, b)[:stop].any()}
    assert seen == behaviors


def test_trials_differ_fail_repeat_and_sometimes_hold_no_reach():
    trials = [render_trial(seed=seed, n_frames=700, **TINY) for seed in range(60)]
    lifts = [int((np.diff(column(t, "lift").astype(int)) == 1).sum()) for t in trials]
    chews = [bool(column(t, "chew").any()) for t in trials]
    assert 1 <= lifts.count(0) <= 15
    assert max(lifts) >= 2
    assert any(lift and not chew for lift, chew in zip(lifts, chews, strict=True))
    assert len({onsets(t).get("lift") for t in trials}) > 20


@settings(max_examples=40)
@given(
    seed=st.integers(0, 10**6),
    animal=st.sampled_from(["M1", "M2", "rat 7"]),
    n_frames=st.integers(1, 1200),
    difficulty=st.floats(0, 1),
)
def test_truth_is_the_motion(seed, animal, n_frames, difficulty):
    trial = render_trial(animal, seed=seed, n_frames=n_frames, difficulty=difficulty, **TINY)
    motion = trial.motion
    assert trial.truth.shape == (n_frames, len(BEHAVIORS))
    assert trial.truth.dtype == np.int8
    assert set(np.unique(trial.truth)) <= {0, 1}
    turned = np.diff(motion.roll, prepend=motion.roll[0])
    np.testing.assert_array_equal(column(trial, "supinate"), turned > 0)
    spread = np.diff(motion.aperture, prepend=motion.aperture[0])
    assert (spread[column(trial, "grab")] < 0).all()
    assert (spread[column(trial, "handopen")] >= 0).all()
    assert column(trial, "handopen")[motion.aperture == 1].all()
    assert not (column(trial, "handopen") & column(trial, "grab")).any()
    assert not (motion.tongue[column(trial, "chew") | column(trial, "atmouth")] > 0).any()


@settings(max_examples=25)
@given(seed=st.integers(0, 10**6), animal=st.sampled_from(["M1", "M2", "M3"]))
def test_the_paw_is_at_the_mouth_while_the_truth_says_so(seed, animal):
    trial = render_trial(animal, seed=seed, n_frames=900, **TINY)
    away = np.linalg.norm(trial.motion.wrist - np.array(AT_MOUTH), axis=1)
    near = (away < 12) & (trial.motion.pitch < -1.1)  # with the hand pointing up, to the lips
    there = column(trial, "atmouth")
    assert near[there].all()
    # The paw comes and goes smoothly; and it may be on its way there when the trial ends.
    beside = np.convolve(there, np.ones(61), mode="same") > 0
    assert not near[:-60][~beside[:-60]].any()


def test_lift_and_return_are_one_way_in_two_directions():
    trial = render_trial(seed=1, n_frames=1500, outcome="success", difficulty=0, **TINY)
    height, lift = trial.motion.wrist[:, 1], column(trial, "lift")
    lifted = height[lift]
    returning = ~lift & (np.diff(height, prepend=height[0]) > 0.3)
    assert lifted.min() < 155 < 190 < lifted.max()
    assert ((height[returning] > 155) & (height[returning] < 190)).sum() > 10


# ------------------------------------------------------------------ pictures


def test_the_paw_is_seen_at_the_mouth():
    trial = render_trial("M1", seed=2, n_frames=300, outcome="success", difficulty=0)
    # Below and before the chin there is nothing but a dark room, or the hand.
    corner = trial.side[:, 122:140, 108:122, 0].mean(axis=(1, 2))
    there = column(trial, "atmouth")
    idle = np.arange(300) < column(trial, "lift").argmax()
    assert corner[there].min() > corner[idle].max() + 20


def jaw_changes(trial, frames: np.ndarray, lag: int = 8) -> list[float]:
    """Change of the picture around the jaw within a moment, over moments that are alike."""

    def jaw(frame: int) -> np.ndarray:
        return trial.picture("side", frame)[105:135, 80:125].astype(float)

    alike = [f for f in np.flatnonzero(frames) if f >= lag and frames[f - lag : f].all()]
    return [float(np.abs(jaw(f) - jaw(f - lag)).mean()) for f in alike[::4]]


@pytest.mark.parametrize("animal", ["M1", "M2", "M3"])
def test_chewing_differs_from_holding_at_the_mouth_by_motion_alone(animal):
    moving, still, swung, held = [], [], [], []
    for seed in range(10):
        options = {"seed": seed, "n_frames": 360, "difficulty": 0}
        eaten = render_trial(animal, outcome="success", **options)
        chewing = column(eaten, "atmouth") & column(eaten, "chew")
        moving += jaw_changes(eaten, chewing)
        swung.append(eaten.motion.jaw[chewing])
        missed = render_trial(animal, outcome="miss", **options)
        there = column(missed, "atmouth") & ~column(missed, "chew")
        settled = there & np.roll(there, 35)  # by then the mouth has opened
        still += jaw_changes(missed, settled)
        held.append(missed.motion.jaw[settled])
    assert np.mean(moving) > 1.3 * np.mean(still)
    # In one frame, the jaw of a still mouth is as open as that of a chewing one.
    low, high = np.quantile(np.concatenate(swung), [0.02, 0.98])
    open_by = np.concatenate(held)
    assert ((open_by > low) & (open_by < high)).mean() > 0.9


@pytest.mark.parametrize("view", ["side", "front"])
def test_an_open_hand_looks_unlike_a_closed_one_in_the_same_place(view):
    trial = render_trial("M1", seed=0, n_frames=300, outcome="success", difficulty=0)
    opened = int(np.flatnonzero(column(trial, "handopen"))[-1])
    closed = int(np.flatnonzero(column(trial, "grab"))[-1])
    assert np.linalg.norm(trial.motion.wrist[closed] - trial.motion.wrist[opened]) < 2.5

    def differing(a: int, b: int) -> int:
        change = trial.picture(view, a).astype(int) - trial.picture(view, b)
        return int((np.abs(change) > 25).sum())

    assert differing(opened, closed) > 100
    assert differing(opened, closed) > 2 * differing(0, closed - opened)


def test_tongue_shows_when_licking():
    trial = render_trial("M1", seed=0, n_frames=3000, outcome="none", difficulty=1)
    out = trial.motion.tongue > 0.9
    assert out.any()
    assert not trial.truth.any()


def test_animals_and_sessions_look_different():
    def look(animal, session="S1"):
        trial = render_trial(animal, session=session, n_frames=1, difficulty=0)
        return trial.side[0, :, :, 0].astype(float)

    pictures = [look(f"M{n}") for n in range(1, 6)]
    for a in range(5):
        for b in range(a):
            assert np.abs(pictures[a] - pictures[b]).mean() > 8
    assert np.abs(pictures[0] - look("M1", "S2")).mean() > 2


def test_pictures_are_grey_and_well_exposed():
    for animal in ("M1", "M2", "M3"):
        trial = render_trial(animal, n_frames=3)
        for stack in (trial.side, trial.front):
            assert stack.dtype == np.uint8
            assert stack.shape == (3, 260, 176, 3)
            assert (stack == stack[..., :1]).all()
            assert 30 < stack.mean() < 140
            assert (stack == 255).mean() < 0.02


def test_difficulty_adds_noise():
    def noise(difficulty):
        trial = render_trial(n_frames=6, outcome="none", difficulty=difficulty)
        return np.abs(np.diff(trial.side[..., 0].astype(float), axis=0)).mean()

    assert noise(1.0) > 2 * noise(0.0)


# ------------------------------------------------------------------ the trial


def test_same_arguments_same_trial():
    one, two = (render_trial("M2", seed=5, n_frames=20, **SMALL) for _ in range(2))
    np.testing.assert_array_equal(one.side, two.side)
    np.testing.assert_array_equal(one.front, two.front)
    np.testing.assert_array_equal(one.truth, two.truth)


@pytest.mark.parametrize("other", [{"seed": 6}, {"session": "S2"}, {"trial_id": 2}])
def test_other_arguments_other_trial(other):
    given = {"seed": 5, "session": "S1", "trial_id": 1}
    one = render_trial("M2", n_frames=5, **given, **SMALL)
    two = render_trial("M2", n_frames=5, **(given | other), **SMALL)
    assert (one.side != two.side).any()


def test_frames_come_in_any_order_or_in_turn():
    trial = render_trial(n_frames=12, **SMALL)
    backwards = [trial.picture("front", frame) for frame in reversed(range(12))]
    np.testing.assert_array_equal(np.stack(backwards[::-1]), trial.front[..., 0])
    for streamed, kept in zip(trial.frames("front"), trial.front, strict=True):
        np.testing.assert_array_equal(streamed, kept)


@pytest.mark.parametrize("size", [(32, 32), (61, 47), (96, 200), (300, 120), (520, 352)])
def test_any_size(size):
    trial = render_trial(n_frames=1, height=size[0], width=size[1])
    assert trial.side.shape == trial.front.shape == (1, *size, 3)
    assert trial.side.std() > 10


def test_frame_rate_sets_the_length_of_behaviors():
    slow = render_trial(seed=3, fps=100, n_frames=200, outcome="success", **TINY)
    fast = render_trial(seed=3, fps=1000, n_frames=2000, outcome="success", **TINY)
    assert onsets(fast)["lift"] == pytest.approx(10 * onsets(slow)["lift"], abs=10)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("animal", ""),
        ("animal", "../M1"),
        ("session", "a/b"),
        ("seed", -1),
        ("seed", 1.5),
        ("trial_id", -1),
        ("n_frames", 0),
        ("n_frames", True),
        ("height", 31),
        ("width", 20),
        ("fps", 0),
        ("fps", float("nan")),
        ("difficulty", 1.01),
        ("difficulty", -0.1),
        ("outcome", "victory"),
    ],
)
def test_useless_arguments_are_named(argument, value):
    with pytest.raises(ArgumentError, match=f"{argument}: expected"):
        render_trial(**({"n_frames": 2} | {argument: value}))


def test_there_is_no_such_view_or_frame():
    trial = render_trial(n_frames=2, **TINY)
    with pytest.raises(ArgumentError, match="view: expected"):
        trial.picture("top", 0)
    with pytest.raises(ArgumentError, match="frame: expected 0 to 1"):
        trial.picture("side", 2)


def test_outcomes_are_listed():
    assert OUTCOMES == ("success", "miss", "closed", "abort", "none")


# ------------------------------------------------------------------ the dataset


def test_dataset_holds_every_frame_where_the_truth_says(tmp_path):
    table = write_dataset(tmp_path, animals=1, trials=2, n_frames=130, seed=4, difficulty=0)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")) == [
        "M1/S1/reach_front_v001.mp4",
        "M1/S1/reach_front_v002.mp4",
        "M1/S1/reach_side_v001.mp4",
        "M1/S1/reach_side_v002.mp4",
        "truth.csv",
    ]
    trial = render_trial("M1", seed=4, n_frames=130, difficulty=0, outcome="success")
    decoded = decode(tmp_path / "M1/S1/reach_side_v001.mp4", 260, 176).astype(float)
    assert len(decoded) == 130
    filmed = trial.side[..., 0].astype(float)
    assert np.abs(decoded - filmed).mean() < 4
    reach = slice(30, 120)
    for shift in (-1, 1):
        beside = np.roll(filmed, shift, axis=0)
        assert np.abs(decoded - filmed)[reach].mean() < np.abs(decoded - beside)[reach].mean()
    rows = table[table.trial_id == 1]
    for behavior, start, stop in rows[["behavior", "start", "stop"]].itertuples(index=False):
        expected = np.zeros(130, bool)
        expected[start:stop] = True
        assert (column(trial, behavior) & expected).sum() == stop - start


@pytest.mark.parametrize("fps", [0.5, 29.97, 240.5, 500.0, 1000])
def test_videos_have_the_rate_and_the_sizes_asked_for(tmp_path, fps):
    write_dataset(tmp_path, animals=1, trials=1, n_frames=61, fps=fps, height=34, width=46)
    for view in ("side", "front"):
        path = tmp_path / "M1" / "S1" / f"reach_{view}_v001.mp4"
        info = probe(path)
        assert (info.height, info.width, info.n_frames) == (34, 46, 61)
        assert info.fps == pytest.approx(fps, rel=1e-4)
        assert len(decode(path, 34, 46)) == 61


def test_truth_is_read_back(tmp_path):
    table = write_dataset(
        tmp_path, animals=["001", "NA"], sessions=["d1", "d2"], trials=2, n_frames=200, **TINY
    )
    pd.testing.assert_frame_equal(read_truth(tmp_path), table)
    assert list(table.columns) == ["animal", "session", "trial_id", "behavior", "start", "stop"]
    assert set(table.animal) == {"001", "NA"}
    assert (table.start < table.stop).all()
    assert (table.stop <= 200).all()
    firsts = table[table.trial_id == 1].groupby(["animal", "session"]).behavior.nunique()
    assert (firsts >= 5).all()


def test_dataset_is_deterministic(tmp_path):
    for name in ("one", "two"):
        write_dataset(tmp_path / name, animals=1, trials=1, n_frames=10, seed=9, **TINY)
    files = [p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*")]
    assert len(files) == 3
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_nothing_is_overwritten_unasked(tmp_path):
    options = {"animals": 1, "trials": 1, "n_frames": 3, **TINY}
    video = tmp_path / "M1" / "S1" / "reach_side_v001.mp4"
    video.parent.mkdir(parents=True)
    video.write_bytes(b"a year of work")
    with pytest.raises(ArgumentError, match="overwrite=True"):
        write_dataset(tmp_path, **options)
    assert video.read_bytes() == b"a year of work"
    write_dataset(tmp_path, overwrite=True, **options)
    assert len(decode(video, 32, 32)) == 3


def test_an_interrupted_run_does_not_look_done(tmp_path, monkeypatch):
    options = {"animals": 1, "trials": 2, "n_frames": 3, **TINY}
    write_dataset(tmp_path, **options)
    from soupxr.synthetic import trial

    picture, taken = trial.Trial.picture, []

    def picture_until_interrupted(self, view, frame):
        taken.append(frame)
        if len(taken) > 7:
            raise KeyboardInterrupt
        return picture(self, view, frame)

    monkeypatch.setattr(trial.Trial, "picture", picture_until_interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path, overwrite=True, **options)
    with pytest.raises(ArgumentError, match=r"data_root: expected a folder with truth\.csv"):
        read_truth(tmp_path)
    assert not list(tmp_path.rglob("*partial*"))
    monkeypatch.undo()
    write_dataset(tmp_path, overwrite=True, progress=False, **options)
    assert read_truth(tmp_path).columns[0] == "animal"


def test_an_encoder_that_fails_is_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(imageio_ffmpeg, "get_ffmpeg_exe", lambda: "false")
    with pytest.raises(VideoError, match=r"reach_side_v001\.mp4: expected ffmpeg"):
        write_dataset(tmp_path, animals=1, trials=1, n_frames=3, **TINY)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("animals", 0),
        ("animals", "M1"),
        ("animals", ["M1", "M1"]),
        ("animals", []),
        ("sessions", ["../S1"]),
        ("trials", 0),
        ("height", 33),
        ("width", 45),
        ("difficulty", 2),
        ("seed", -3),
    ],
)
def test_useless_arguments_write_nothing(tmp_path, argument, value):
    root = tmp_path / "videos"
    with pytest.raises(ArgumentError, match=f"{argument}: expected"):
        write_dataset(root, **({"n_frames": 2, **TINY} | {argument: value}))
    assert not [path for path in root.rglob("*") if path.is_file()]


def test_foreign_table_is_refused(tmp_path):
    (tmp_path / "truth.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ArgumentError, match=r"truth\.csv: expected the columns animal"):
        read_truth(tmp_path)
