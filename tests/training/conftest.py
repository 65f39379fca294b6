"""What all training tests share: the goldens beside the checkout, and one thread."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

PARITY = Path(__file__).resolve().parents[3] / "shared" / "parity"


@pytest.fixture(scope="session")
def recipe() -> ModuleType:
    if not (PARITY / "recipe.py").is_file():
        pytest.skip("parity goldens are not beside this checkout")
    spec = importlib.util.spec_from_file_location("parity_recipe", PARITY / "recipe.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
