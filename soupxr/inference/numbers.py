"""Number formats: which one is used, and float32 that means it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

__all__ = ["choose_precision", "strict_float32"]

#: Modes in which ``benchmarks/agreement.py`` found bfloat16 to change less than one frame in a
#: thousand and mean F1 by less than 0.002. The others wait for trained models to measure with.
AGREEING = frozenset({"fast"})

#: The switches belong to the process, and trials may run in several threads.
_SWITCHES = threading.RLock()


def choose_precision(name: str, mode: str, device: str) -> str:
    """Number format of the networks; ``"auto"`` takes bfloat16 where that is faster and agrees.

    Parameters
    ----------
    name : {"auto", "float32", "bfloat16"}
        What was asked for.
    mode : str
        Of the networks.
    device : str
        As the option ``device`` has it.
    """
    if name != "auto":
        return name
    agrees = mode in AGREEING and _has_bfloat16(device)
    return "bfloat16" if agrees else "float32"


def _has_bfloat16(device: str) -> bool:
    """Whether a device multiplies bfloat16 faster than float32."""
    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        # Where a cluster's workers have the GPU, it is taken to be one of the last years.
        return not torch.cuda.is_available() or torch.cuda.get_device_capability() >= (8, 0)
    if device not in ("auto", "cpu") or torch.backends.mps.is_available():
        return False
    # No public name for these yet.
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, check, lambda: False)() for check in checks)


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
