"""Ethograms from behaviour video, as labelled arrays.

>>> import soupxr as sx
>>> ds = sx.create("reach.zarr", data_root="videos")  # doctest: +SKIP
>>> ds = ds.soup.add_item("M1", experiment="table")  # doctest: +SKIP
>>> ds = ds.soup.infer(mode="fast")  # doctest: +SKIP
>>> ds.soup  # what there is, and what to call next  # doctest: +SKIP

Everything that concerns trials is a method of ``ds.soup``. ``soupxr.analysis`` has statistics of
ethograms, ``soupxr.io`` reads and writes files of other programs.
"""

from soupxr import accessor as _accessor  # registers Dataset.soup
from soupxr import analysis, io
from soupxr.api import create, local_client, open, sample_data
from soupxr.errors import (
    ArgumentError,
    CheckpointError,
    DownloadError,
    FormatError,
    InferenceError,
    IngestError,
    SoupError,
    SoupWarning,
    StoreError,
    TrainingError,
    VideoError,
)
from soupxr.options import set_options

__version__ = "0.1.0"

__all__ = [
    "ArgumentError",
    "CheckpointError",
    "DownloadError",
    "FormatError",
    "InferenceError",
    "IngestError",
    "SoupError",
    "SoupWarning",
    "StoreError",
    "TrainingError",
    "VideoError",
    "__version__",
    "analysis",
    "create",
    "io",
    "local_client",
    "open",
    "sample_data",
    "set_options",
]

del _accessor


def __dir__() -> list[str]:
    # What Tab offers: no inner workings.
    return __all__
