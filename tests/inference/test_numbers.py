"""Which number format is used."""

import pytest
import torch

import soupxr as sx
from soupxr.inference import numbers
from soupxr.inference.numbers import choose_precision


@pytest.fixture
def machine(monkeypatch):
    def set_up(avx512_bf16=False, amx=False, capability=None):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)

    return set_up


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_what_is_named_is_taken(machine, name):
    machine(amx=True)
    assert choose_precision(name, "slow", "cpu") == name


@pytest.mark.parametrize(
    ("facts", "device", "expected"),
    [
        ({}, "cpu", "float32"),
        ({"avx512_bf16": True}, "cpu", "bfloat16"),
        ({"amx": True}, "auto", "bfloat16"),
        ({"amx": True}, "mps", "float32"),
        ({"capability": (9, 0)}, "auto", "bfloat16"),
        ({"capability": (7, 5), "amx": True}, "cuda:0", "float32"),
        ({"capability": (9, 0)}, "cpu", "float32"),
        ({}, "cuda", "bfloat16"),
    ],
)
def test_auto_takes_what_is_faster_on_the_device(machine, facts, device, expected):
    machine(**facts)
    assert choose_precision("auto", "fast", device) == expected


def test_auto_stays_exact_where_agreement_was_not_measured(machine):
    machine(amx=True)
    unmeasured = {"fast", "medium", "slow"} - numbers.AGREEING
    assert unmeasured
    for mode in unmeasured:
        assert choose_precision("auto", mode, "cpu") == "float32"


def test_an_unknown_precision_is_refused():
    with pytest.raises(sx.ArgumentError, match="precision"), sx.set_options(precision="float16"):
        pass
