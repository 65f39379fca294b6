"""float32 that means it: without TF32, whatever the session is set to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["strict_float32"]

#: The switches belong to the process, and trials may run in several threads.
_SWITCHES = threading.RLock()


@contextmanager
def strict_float32(device: torch.device) -> Iterator[None]:
    """Multiply float32 as float32 on this device meanwhile.

    TF32 keeps 10 bits of the mantissa, and convolutions use it by default; published figures are
    then missed by about one per cent of a logit.
    """
    if device.type != "cuda":
        yield
        return
    with _SWITCHES:
        places, name, strict = _switches()
        before = [getattr(place, name) for place in places]
        try:
            for place in places:
                setattr(place, name, strict)
            yield
        finally:
            for place, value in zip(places, before, strict=True):
                setattr(place, name, value)


def _switches() -> tuple[tuple[Any, Any], str, Any]:
    """Where torch keeps them: since 2.9 under another name, and the two must not be mixed."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    convolution = getattr(cudnn, "conv", None)
    if hasattr(convolution, "fp32_precision"):
        return (convolution, matmul), "fp32_precision", "ieee"
    return (cudnn, matmul), "allow_tf32", False
