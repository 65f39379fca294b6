"""The picture of a run is drawn whatever its figures are."""

import math

import numpy as np
import pytest
from matplotlib.axes import Axes
from PIL import Image

from soupxr.training.curves import save_curves

NAN = math.nan


def history(*f1, metric="f1_mean", **columns):
    rows = [
        {"epoch": k, "lr": 1e-4, "loss": 1 / (1 + k), metric: value} for k, value in enumerate(f1)
    ]
    for name, values in columns.items():
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    return rows


def picture(path):
    with Image.open(path) as image:
        image.load()
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB"))


def ink(pixels, half):
    """Pixels that are not white in the left or right half, below the title."""
    middle = pixels.shape[1] // 2
    part = pixels[60:, :middle] if half == "left" else pixels[60:, middle:]
    return int((part < 250).any(axis=2).sum())


@pytest.mark.parametrize(
    "rows",
    [
        history(0.2, 0.5, 0.4, f1_background=[0.9, 0.9, 0.95], f1_lift=[0.1, 0.3, 0.4]),
        history(0.3, f1_lift=[0.3]),
        history(0.2, 0.5, 0.4, f1_lift=[NAN] * 3, f1_grab=[NAN, 0.3, NAN]),
        history(NAN, 0.5, 0.4),
        history(NAN, NAN),
        history(0.0, 0.0, loss=[NAN, NAN]),
    ],
    ids=["usual", "one epoch", "classes without a score", "a gap", "no metric", "no loss"],
)
def test_a_picture_is_drawn(tmp_path, rows):
    save_curves(rows, "f1_mean", "sequence, mode fast", tmp_path / "curves.png", rising=True)
    pixels = picture(tmp_path / "curves.png")
    assert pixels.shape[1] > pixels.shape[0] > 300
    assert ink(pixels, "left") > 1000
    assert ink(pixels, "right") > 1000


def test_more_epochs_draw_more(tmp_path):
    for n_epochs in (1, 30):
        rows = history(*np.linspace(0, 1, n_epochs))
        save_curves(rows, "f1_mean", "", tmp_path / f"{n_epochs}.png", rising=True)
    one, thirty = picture(tmp_path / "1.png"), picture(tmp_path / "30.png")
    assert not np.array_equal(one, thirty)


def test_a_single_epoch_of_a_class_can_be_seen(tmp_path):
    save_curves(history(0.5, f1_a=[0.9]), "f1_mean", "", tmp_path / "a.png", rising=True)
    save_curves(history(0.5, f1_a=[0.1]), "f1_mean", "", tmp_path / "b.png", rising=True)
    assert not np.array_equal(picture(tmp_path / "a.png"), picture(tmp_path / "b.png"))


@pytest.mark.parametrize(
    ("values", "rising", "best"),
    [
        ((0.2, 0.6, 0.6, 0.1), True, (1, "best: 0.600")),
        ((0.4, 0.2, 0.3), False, (1, "best: 0.200")),
        ((NAN, 0.2, 0.3), True, (2, "best: 0.300")),
        ((NAN, NAN), True, None),
    ],
)
def test_the_best_epoch_is_marked(tmp_path, monkeypatch, values, rising, best):
    marks = []
    draw = Axes.axvline

    def noting(self, x, **options):
        marks.append((x, options["label"]))
        return draw(self, x, **options)

    monkeypatch.setattr(Axes, "axvline", noting)
    metric = "f1_mean" if rising else "ssim_loss"
    rows = history(*values, metric=metric)
    save_curves(rows, metric, "", tmp_path / "curves.png", rising=rising)
    assert marks == ([] if best is None else [best])
