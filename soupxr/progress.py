"""One progress bar for all long work; silent where asked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

__all__ = ["progress_bar"]


def progress_bar(total: int, description: str, unit: str, *, enabled: bool = True) -> tqdm[Any]:
    """Make a bar that shows rate and time left; use it as a context manager.

    Parameters
    ----------
    total : int
        Units of work.
    description : str
        What is being done.
    unit : str
        Name of a unit: frame, video, trial.
    enabled : bool
        False makes a bar that shows nothing.
    """
    from tqdm import tqdm
    from tqdm.notebook import tqdm_notebook

    kind = tqdm_notebook if _in_notebook() else tqdm
    bar: tqdm[Any] = kind(
        total=total,
        desc=description,
        unit=f" {unit}s",
        disable=not enabled,
        dynamic_ncols=True,
        smoothing=0.1,
    )
    return bar


def _in_notebook() -> bool:
    """Whether a widget can be shown: a Jupyter kernel with ipywidgets (tqdm warns without)."""
    if "ipykernel" not in sys.modules:
        return False
    from importlib.util import find_spec

    return find_spec("ipywidgets") is not None
