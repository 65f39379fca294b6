"""What all training tests share: the goldens, one thread, and small trained models."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch
import training_runs as runs
import xarray as xr

import soupxr as sx

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


@pytest.fixture
def no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    runs.spare_curves(monkeypatch)


@dataclass(frozen=True)
class Trained:
    """A store on which one small model of every stage was trained, one run after the other.

    Each test takes a copy of ``store``; ``files`` are what each run left in its folder.
    """

    store: Path
    files: dict[str, set[str]]

    @property
    def models(self) -> Path:
        return self.store.parent / "models"


@pytest.fixture(scope="session")
def labelled(tmp_path_factory: pytest.TempPathFactory, film: Callable[..., Path]) -> Path:
    """Six small trials, labelled in full by one annotator."""
    folder = tmp_path_factory.mktemp("labelled")
    with sx.set_options(progress=False):
        runs.label_all(runs.make_store(folder, film))
    return folder / "reach.zarr"


@pytest.fixture(scope="session")
def trained(labelled: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The same with a flow generator, a feature extractor and a sequence model, inferred."""
    folder = tmp_path_factory.mktemp("trained")
    torch.set_num_threads(1)
    with sx.set_options(progress=False):
        ds = runs.copied(labelled, folder)
        runs.train_flow(ds, folder / "models/flow")
        runs.train_features(ds, folder / "models/features")
        ds = ds.soup.feature_extractor.infer()
        runs.train_sequence(ds, folder / "models/sequence")
        ds.soup.infer()
    files = {run.name: {f.name for f in run.iterdir()} for run in (folder / "models").iterdir()}
    (folder / "models/features/resume.ckpt").unlink()  # large
    return Trained(folder / "reach.zarr", files)


@pytest.fixture
def ds(labelled: Path, tmp_path: Path) -> xr.Dataset:
    """A labelled store of one's own."""
    return runs.copied(labelled, tmp_path)


@pytest.fixture
def trained_ds(trained: Trained, tmp_path: Path) -> xr.Dataset:
    """A store of one's own that knows the trained models and has results."""
    return runs.copied(trained.store, tmp_path)
