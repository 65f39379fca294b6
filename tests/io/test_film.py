"""Films with the ethogram burnt in."""

import json
import subprocess

import imageio_ffmpeg
import numpy as np
import pytest

import soupxr as sx
from soupxr.errors import ArgumentError, VideoError
from soupxr.io import film
from soupxr.io._film_panel import COLORS, Panel
from soupxr.video import VideoReader, probe
from soupxr.video.writer import VideoWriter

KEY = "M1/S1/1"


@pytest.fixture
def trial(new_store):
    """A trial of 40 frames at 100 Hz with labels; the films are small."""
    ds = new_store(KEY, n_frames=40, height=34, width=46)
    mask = np.zeros((40, 6), np.int8)
    mask[10:20, 0] = mask[15:16, 2] = 1
    mask[30:, 5] = -1
    ds = ds.sel(animal="M1", session="S1", trial_id=1)
    return ds.soup.annotate(mask, annotator="Ana"), mask


def described(path):
    """What ffmpeg says of a file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_every_frame_is_there_once_and_in_its_place(trial, tmp_path):
    ds, _ = trial
    path = film.write(ds, tmp_path / "reach.mp4", annotator="Ana", scale=4, quality=1)
    info = probe(path)
    assert info.n_frames == 40
    frames = VideoReader(path).read(0, 40)
    sources = ds.soup.video().values
    shown = frames[:, 2 : 34 * 4 : 4, 2 : 92 * 4 : 4].astype(int)
    assert shown.shape == sources.shape
    # Of all frames of the trial, the one that was meant is by far the likest.
    distance = np.abs(shown[:, None] - sources[None].astype(int)).mean(axis=(2, 3, 4))
    assert (distance.argmin(axis=1) == np.arange(40)).all()
    assert distance.diagonal().max() < 12


def test_it_plays_anywhere(trial, tmp_path):
    ds, _ = trial
    path = film.write(ds, tmp_path / "reach.mp4", annotator="Ana")
    told = described(path)
    assert "Video: h264 (High)" in told
    assert "yuv420p(tv, bt709" in told
    info = probe(path)
    assert info.height % 2 == info.width % 2 == 0
    # The index stands before the pictures, so that a browser need not fetch the end first.
    content = path.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")


@pytest.mark.parametrize(
    ("options", "n_frames", "fps"),
    [
        ({}, 40, 30),  # 100 Hz is too fast for players
        ({"every": 2}, 20, 50),
        ({"every": 3, "fps": 10}, 14, 10),
        ({"fps": 25, "start": 5, "stop": 11}, 6, 25),
    ],
)
def test_rates_and_parts(trial, tmp_path, options, n_frames, fps):
    ds, _ = trial
    path = film.write(ds, tmp_path / "reach.mp4", annotator="Ana", **options)
    info = probe(path)
    assert (info.n_frames, info.fps) == (n_frames, pytest.approx(fps))
    first = VideoReader(path).read(0, 1)[0].astype(int)
    source = ds.soup.video().values[options.get("start", 0)]
    scale = (info.width - info.width % 2) // source.shape[1]
    shown = first[scale // 2 : 34 * scale : scale, scale // 2 : 92 * scale : scale]
    assert np.abs(shown - source).mean() < 25


def test_provenance_is_in_the_file(trial, tmp_path):
    ds, _ = trial
    path = film.write(ds, tmp_path / "reach.mp4", annotator="Ana", every=2)
    content = path.read_bytes().decode("utf-8", errors="ignore")
    start = content.index('{"soupxr"')
    record, _ = json.JSONDecoder().raw_decode(content[start:])
    assert record["annotator"] == "Ana"
    assert record["trials"] == {KEY: {"n_frames": 40, "fps": 100.0}}
    assert record["frames"] == {"start": 0, "stop": 40, "every": 2, "fps": 50.0}


@pytest.mark.parametrize("span", ["all", 20])
def test_bars_names_and_playhead(span):
    mask = np.zeros((100, 2), np.int8)
    mask[40:60, 0] = 1
    mask[70:80, 1] = -1
    panel = Panel(mask, ["lift", "grab"], 500, 0, 100, span, "M1/S1/1", 100.0)
    for frame in range(0, 100, 7):
        picture = panel.draw(frame)
        assert picture.shape == (panel.height, 500, 3)
        white = np.flatnonzero((picture[panel.row + 1] == 255).all(axis=1))
        shown = (0, 100) if span == "all" else (frame - 10, frame + 10)
        wide = 500 - panel.gutter
        middle = panel.gutter + (frame + 0.5 - shown[0]) * wide / (shown[1] - shown[0])
        assert len(white) == 2
        assert abs(white[0] - middle) <= 2
        # A name is lit while its behavior occurs.
        lit = tuple(picture[panel._top(0) + 1, 1]) == COLORS[0]
        assert lit == (40 <= frame < 60)
        rows = picture[panel._top(0) + 2, panel.gutter :]
        for x in range(0, wide, 11):
            at = shown[0] + x * (shown[1] - shown[0]) / wide
            if abs(x + panel.gutter - white[0]) < 4 or min(abs(at - 40), abs(at - 60)) < 0.5:
                continue
            assert (tuple(rows[x]) == COLORS[0]) == (40 <= at < 60), (frame, x, at)


#: Where what follows looks: films are compressed, and colors kept at half the size.
NEAR = 12.0


@pytest.fixture
def burnt(trial, tmp_path):
    """A film that is hardly compressed: its decoded panels, and what was to be drawn in each."""
    ds, mask = trial
    path = film.write(ds, tmp_path / "reach.mp4", annotator="Ana", scale=6, quality=1, fps=100)
    frames = VideoReader(path).read(0, 40)
    names = [str(name) for name in ds.behavior.values]
    panel = Panel(mask, names, 92 * 6, 0, 40, "all", f"{KEY}   Ana", 100.0)
    top = 34 * 6
    return frames[:, top : top + panel.height].astype(int), panel


def test_the_panel_is_in_the_file(burnt):
    shown, panel = burnt
    drawn = np.stack([panel.draw(frame) for frame in range(40)]).astype(np.int16)
    assert shown.shape == drawn.shape
    shown, drawn = shown[:, ::2, ::2].astype(np.int16), drawn[:, ::2, ::2]
    # Of all that could be drawn, what belongs to the frame is nearest.
    distance = np.stack([np.abs(shown - one).mean(axis=(1, 2, 3)) for one in drawn], axis=1)
    assert (distance.argmin(axis=1) == np.arange(40)).all()
    assert distance.diagonal().max() < NEAR


def test_the_playhead_in_the_file_moves_with_the_frame(burnt):
    shown, panel = burnt
    # Between two bars nothing but the playhead is bright.
    between = panel._top(0) + panel.row - 1
    row = shown[:, between - 1 : between + 1, panel.gutter :].min(axis=(1, 3))
    columns = row.argmax(axis=1)
    assert (np.diff(columns) > 0).all()
    wide = panel.width - panel.gutter
    wanted = (np.arange(40) + 0.5) * wide / 40
    assert np.abs(columns - wanted).max() <= 2


def test_names_in_the_file_can_be_read(burnt):
    shown, panel = burnt
    areas = []
    for place in range(2):  # lift is lit in frames 10 to 19, handopen never
        top = panel._top(place)
        areas.append(shown[:, top : top + panel.row - 2, 3 : panel.gutter - 3])
    lift, handopen = areas
    for area, name in ((lift[0], "lift"), (handopen[0], "handopen")):
        # Text on black: a few bright pixels, most of them dark.
        bright = area.max(axis=2) > 90
        assert 0.02 < bright.mean() < 0.5, name
    assert (np.abs(lift[0] - handopen[0]).max(axis=2) > 60).mean() > 0.02
    lit, dark = lift[15], lift[5]
    assert np.abs(np.median(lit, axis=(0, 1)) - COLORS[0]).max() < 25
    assert np.median(dark, axis=(0, 1)).max() < 25
    # Dark text on the color, where it was bright on black.
    text = dark.max(axis=2) > 110
    assert lit[text].mean() < np.median(lit, axis=(0, 1)).mean() - 40


def test_a_bout_of_one_frame_of_many_is_seen():
    mask = np.zeros((50_000, 1), np.int8)
    mask[31_234] = 1
    panel = Panel(mask, ["lift"], 400, 0, 50_000, "all", "", 500.0)
    assert (panel.draw(0)[panel._top(0) + 2] == COLORS[0]).all(axis=1).any()


def test_what_cannot_be_done(trial, tmp_path, new_store):
    ds, _ = trial
    for options, told in [
        ({"path": tmp_path / "a.avi"}, r"ends in \.mp4"),
        ({"path": tmp_path / "no" / "a.mp4"}, "a folder that exists"),
        ({"start": 9, "stop": 9}, "0 <= start < stop <= 40"),
        ({"every": 0}, "every: expected a whole number from 1"),
        ({"fps": 0}, "fps: expected"),
        ({"span": 1}, "span: expected"),
        ({"quality": 99}, "quality: expected"),
        ({"behaviors": ["hop"]}, "behaviors: expected some of"),
        ({"annotator": None}, "either mode= or annotator="),
        ({"annotator": None, "mode": "fast"}, "without any"),
    ]:
        given = {"path": tmp_path / "a.mp4", "annotator": "Ana", **options}
        with pytest.raises(ArgumentError, match=told):
            film.write(ds, given.pop("path"), **given)
    path = film.write(ds, tmp_path / "a.mp4", annotator="Ana", stop=2, behaviors=["grab"])
    with pytest.raises(ArgumentError, match="Pass overwrite=True"):
        film.write(ds, path, annotator="Ana")
    film.write(ds, path, annotator="Ana", stop=3, overwrite=True)
    assert probe(path).n_frames == 3
    assert [p.name for p in tmp_path.iterdir() if "unfinished" in p.name] == []
    both = new_store("M1/S1/1", "M1/S1/2", name="two.zarr")
    with pytest.raises(ArgumentError, match="a selection of one trial"):
        film.write(both, tmp_path / "b.mp4", annotator="Ana")


def test_a_broken_video_leaves_no_film(trial, tmp_path):
    ds, _ = trial
    (tmp_path / "videos" / "M1" / "S1" / "reach_front_v001.mp4").write_bytes(b"no video")
    with pytest.raises(VideoError):
        film.write(ds, tmp_path / "a.mp4", annotator="Ana")
    assert not (tmp_path / "a.mp4").exists()


def test_a_writer_whose_file_cannot_be_made(tmp_path):
    writer = VideoWriter(tmp_path / "no" / "a.mp4", 32, 32, 30.0)
    with pytest.raises(VideoError, match=r"cannot be written .*No such file"):
        writer.close()
    with pytest.raises(ArgumentError, match="even numbers"):
        VideoWriter(tmp_path / "a.mp4", 31, 32, 30.0)


def test_frames_of_another_size_are_refused(tmp_path):
    with (
        pytest.raises(ArgumentError, match="frame: expected uint8"),
        VideoWriter(tmp_path / "a.mp4", 32, 32, 30.0) as film_writer,
    ):
        film_writer.write(np.zeros((16, 32, 3), np.uint8))


def test_a_film_of_an_ethogram(new_store, tmp_path):
    from results import put_result

    ds = new_store(KEY, n_frames=20)
    probability = np.full((20, 6), 0.1, np.float32)
    probability[5:15, 1] = 0.9
    put_result(ds, KEY, probability)
    one = sx.open(ds.attrs["soupxr_store"]).sel(animal="M1", session="S1", trial_id=1)
    path = film.write(one, tmp_path / "a.mp4", mode="fast")
    assert probe(path).n_frames == 20
