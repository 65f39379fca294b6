"""Ethograms of any kind, for property tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

PROPERTY = settings(max_examples=50)

BEHAVIORS = ["grab", "chew", "lift"]


def masks(low: int = -1, longest: int = 24):
    """int8 (frame, behavior) of 1, 0 and, unless ``low`` is 0, −1."""
    shapes = st.tuples(st.integers(1, longest), st.integers(1, 3))
    return shapes.flatmap(
        lambda shape: hnp.arrays(np.int8, shape, elements=st.integers(low, 1), fill=st.nothing())
    )


@st.composite
def ethograms(draw, low: int = -1, most: int = 4, longest: int = 16):
    """Labels (trial, frame, behavior) with the index of a store."""
    shape = (draw(st.integers(1, most)), draw(st.integers(1, longest)), draw(st.integers(1, 3)))
    values = draw(hnp.arrays(np.int8, shape, elements=st.integers(low, 1), fill=st.nothing()))
    animals = draw(st.lists(st.sampled_from("AB"), min_size=shape[0], max_size=shape[0]))
    keys = [(animal, f"S{k % 2}", k) for k, animal in enumerate(animals)]
    index = pd.MultiIndex.from_tuples(keys, names=["animal", "session", "trial_id"])
    array = xr.DataArray(
        values, {"behavior": BEHAVIORS[: shape[2]]}, ("trial", "frame", "behavior")
    )
    return array.assign_coords(xr.Coordinates.from_pandas_multiindex(index, "trial"))
