"""Lightning, importable beside any build of torch; import it from here, never directly."""

from __future__ import annotations

# Lightning's metrics import torchvision, which this module makes importable first.
import soupxr.models._torchvision  # noqa: F401  isort: skip
import pytorch_lightning

__all__ = ["pytorch_lightning"]
