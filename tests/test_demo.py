"""The demo's way, at the smallest effort."""

from dataclasses import replace

import numpy as np
import pytest

import soupxr as sx
from soupxr.demo import HELD_OUT, SMALLEST, run

#: Whether it is validated by a few frames or by all makes no difference to the way.
LEAST = replace(
    SMALLEST,
    n_frames=200,
    features=(*SMALLEST.features, ("validation_steps", 2)),
    finish=(*SMALLEST.finish, ("validation_steps", 2)),
)


@pytest.mark.slow
@pytest.mark.thorough
def test_the_whole_way_on_the_smallest_scale(tmp_path):
    said = []
    # What an earlier demo left is replaced.
    (tmp_path / "demo" / "videos" / "M99").mkdir(parents=True)
    (tmp_path / "demo" / ".soupxr-demo").touch()
    scores = run(tmp_path / "demo", said.append, effort=LEAST)
    told = "\n".join(said)
    for name in ("ethograms.png", "ethograms.html", "scores.png", "scores.html", "reach.zarr"):
        assert str(tmp_path / "demo" / name) in told
        assert (tmp_path / "demo" / name).exists()
    ds = sx.open(tmp_path / "demo" / "reach.zarr")
    assert (ds.annotation.sel(annotator="truth") >= 0).all()
    is_held_out = ds.animal.isin(HELD_OUT).values
    np.testing.assert_array_equal(ds.status.sel(mode="fast") == 2, is_held_out)
    assert scores.attrs["n_trials"] == is_held_out.sum()
    assert scores.attrs["n_validation_trials"] == 0
    assert not (tmp_path / "demo" / "videos" / "M99").exists()


def test_refuses_to_write_over_what_is_no_demo(tmp_path):
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(sx.ArgumentError, match="demo"):
        run(tmp_path, print)
    assert (tmp_path / "thesis.docx").read_text() == "years of work"
