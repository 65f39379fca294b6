"""``torchvision``, importable beside any build of torch.

A torchvision wheel built for another torch (CUDA beside CPU-only, as PyPI and the torch index
easily mix) cannot load its compiled operators, and then ``import torchvision`` itself fails on an
operator for object detection that nobody here calls. Import torchvision from this module, never
directly.
"""

from __future__ import annotations

import torch

__all__ = ["torchvision"]

#: A library's operators vanish with it, so it has to live as long as the process.
_libraries: list[torch.library.Library] = []


def _declare_missing_operators() -> None:
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            schema = f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            library.define(schema)  # type: ignore[no-untyped-call]
    _libraries.append(library)


try:
    import torchvision
except RuntimeError as error:
    if "torchvision::nms" not in str(error):
        raise
    _declare_missing_operators()
    import torchvision
