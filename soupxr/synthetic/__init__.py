"""Invented reach-to-grab trials with frame-exact ground truth, for the demo and the tests.

:func:`render_trial` makes up one trial, :func:`write_dataset` a folder of videos with the truth
beside it, :func:`read_truth` reads that truth back.
"""

from soupxr.synthetic.anatomy import VIEWS
from soupxr.synthetic.dataset import read_truth, write_dataset
from soupxr.synthetic.motion import OUTCOMES
from soupxr.synthetic.trial import Trial, render_trial

__all__ = ["OUTCOMES", "VIEWS", "Trial", "read_truth", "render_trial", "write_dataset"]


def __dir__() -> list[str]:
    # What Tab offers: no inner workings.
    return __all__
