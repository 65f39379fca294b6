"""Goldens for the networks: those beside the checkout, and our own few in ``tests/goldens``."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

PARITY = Path(__file__).resolve().parents[3] / "shared" / "parity"
OWN = Path(__file__).resolve().parents[1] / "goldens"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def parity_folder() -> Path:
    if not (PARITY / "recipe.py").is_file():
        pytest.skip("parity goldens are not beside this checkout")
    return PARITY


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"goldens_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass
class Golden:
    """One golden: how its network is made, weights, inputs, and what the reference answered."""

    recipe: ModuleType
    spec: dict[str, Any]
    expected: dict[str, np.ndarray]

    @property
    def arguments(self) -> dict[str, Any]:
        return self.spec["reference"]["constructor"]

    @property
    def keys(self) -> list[str]:
        return [entry["key"] for entry in self.spec["state_dict"]]

    def inputs(self) -> dict[str, Tensor]:
        return {k: torch.from_numpy(v) for k, v in self.recipe.make_inputs(self.spec).items()}

    def state_dict(self) -> dict[str, Tensor]:
        weights = self.recipe.make_weights(self.spec)
        self.recipe.check_weights(self.spec, weights)
        return {key: torch.as_tensor(value) for key, value in weights.items()}

    def fill(self, model: nn.Module) -> nn.Module:
        assert list(model.state_dict()) == self.keys
        model.load_state_dict(self.state_dict())
        return model.eval()

    def compare(self, output: str, got: Tensor) -> None:
        self.recipe.compare(self.spec, self.expected, output, got.numpy())


@pytest.fixture(scope="session")
def parity(parity_folder: Path) -> Callable[[str], Golden]:
    recipe = _module(parity_folder / "recipe.py")
    return lambda name: Golden(recipe, *recipe.load(name))


@pytest.fixture(scope="session")
def own_goldens() -> ModuleType:
    """The script that makes our own goldens: ``cases()`` and ``answers(name)``."""
    return _module(OWN / "make.py")


@pytest.fixture
def matches_own_golden(own_goldens: ModuleType) -> Callable[[str], None]:
    def check(name: str) -> None:
        with np.load(OWN / f"{name}.npz") as expected:
            answers = own_goldens.answers(name)
            assert set(answers) == set(expected.files)
            for output, array in answers.items():
                scale = float(np.abs(expected[output]).max())
                np.testing.assert_allclose(array, expected[output], rtol=0, atol=1e-4 * scale)

    return check
