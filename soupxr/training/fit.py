"""One run of Lightning's trainer: epochs, checkpoints, progress, and how it ends."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import torch

from soupxr.errors import SoupWarning, TrainingError
from soupxr.files import whole_file
from soupxr.training._lightning import pytorch_lightning as pl
from soupxr.training.curves import save_curves
from soupxr.training.runfolder import RunFolder, telling_of_disk
from soupxr.training.tasks import Task

__all__ = ["Batches", "EpochData", "fit"]

T = TypeVar("T")

PRECISIONS: dict[str, Any] = {"float32": "32-true", "bfloat16": "bf16-mixed"}
#: Writes a checkpoint of ours: path, epoch.
Save = Callable[[Path, int], object]


class Batches(Iterable[T]):
    """A known number of batches, made when they are asked for."""

    def __init__(self, count: int, make: Callable[[], Iterator[T]]) -> None:
        self._count, self._make = count, make

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        return self._make()


class EpochData(pl.LightningDataModule):
    """Batches of every epoch.

    Parameters
    ----------
    training : callable
        From the number of the epoch to its batches.
    validation : callable
        Makes the batches of the validation part.
    """

    def __init__(
        self, training: Callable[[int], Batches[Any]], validation: Callable[[], Batches[Any]]
    ) -> None:
        super().__init__()
        self.training, self.validation = training, validation

    def train_dataloader(self) -> Batches[Any]:
        """Batches of the epoch that begins."""
        assert self.trainer is not None
        return self.training(self.trainer.current_epoch)

    def val_dataloader(self) -> Batches[Any]:
        """Batches of the validation part, the same in every epoch."""
        return self.validation()


def fit(
    task: Task,
    data: EpochData,
    folder: RunFolder,
    save: Save,
    *,
    device: torch.device,
    precision: str,
    progress: bool,
) -> str:
    """Train until the schedule says that it is enough.

    Parameters
    ----------
    folder : RunFolder
        Begun; a run in it goes on.
    save : callable
        Writes a checkpoint of the task as it stands.
    device : torch.device
        Where to train.
    precision : {"float32", "bfloat16"}
        Number format of the forward pass.
    progress : bool
        Show a bar.

    Returns
    -------
    str
        Why it ended.

    Raises
    ------
    TrainingError
        If the loss became infinite or not a number. The best checkpoint before that is kept.
    KeyboardInterrupt
        If the user stopped it; it can be resumed.
    """
    recorder = _Recorder(folder, save)
    callbacks = [recorder, *([_Bar()] if progress else [])]
    with _quiet(), torch.random.fork_rng(devices=_cuda(device)):
        trainer = pl.Trainer(
            accelerator="gpu" if device.type == "cuda" else device.type,
            devices=[device.index or 0] if device.type == "cuda" else 1,
            precision=PRECISIONS[precision],
            max_epochs=task.schedule.max_epochs,
            callbacks=callbacks,
            logger=_tensorboard(folder.path),
            enable_progress_bar=progress,
            enable_checkpointing=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            reload_dataloaders_every_n_epochs=1,
            default_root_dir=folder.path,
            use_distributed_sampler=False,
        )
        resume_from = str(folder.resume_file) if folder.resumes else None
        try:
            trainer.fit(task, datamodule=data, ckpt_path=resume_from, weights_only=True)
        except SystemExit:
            # Lightning turns Ctrl+C into an exit, which would end a notebook's kernel.
            raise KeyboardInterrupt from None
        except TrainingError as error:
            raise _told(error, folder) from None
        finally:
            recorder.draw(task)
    return _why(task)


def _why(task: Task) -> str:
    epoch = int(task.history[-1]["epoch"])
    if task.schedule.is_over(epoch, task.plateau.get_last_lr()[0]):
        return "learning_rate"
    return "num_epochs"


def _told(error: TrainingError, folder: RunFolder) -> TrainingError:
    kept = f"The best checkpoint before is kept: {folder.best}." if folder.best.exists() else ""
    return TrainingError(f"{error} {kept}".strip())


def _cuda(device: torch.device) -> list[int]:
    return [device.index or 0] if device.type == "cuda" else []


def _tensorboard(path: Path) -> Any:
    """Lightning's logger for TensorBoard where that is installed, else none."""
    if find_spec("tensorboard") is None:
        return False
    return pl.loggers.TensorBoardLogger(save_dir=path, name=None, version="tensorboard")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's advice to programmers from the user; its errors come through."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch")]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"(pytorch_)?lightning")
        warnings.filterwarnings("ignore", message=r".*does not have many workers.*")
        warnings.simplefilter("always", SoupWarning)
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)


class _Bar(pl.callbacks.TQDMProgressBar):
    """Lightning's bar, one line an epoch: steps, time left, loss and metric."""

    def get_metrics(self, *arguments: Any) -> dict[str, Any]:
        """Figures behind the bar."""
        figures: dict[str, Any] = super().get_metrics(*arguments)
        figures.pop("v_num", None)
        return figures

    def init_validation_tqdm(self) -> Any:
        """No second bar for the validation part, which would push the first one up."""
        return pl.callbacks.progress.tqdm_progress.Tqdm(disable=True)


class _Recorder(pl.Callback):
    """Writes checkpoints and figures after every epoch."""

    def __init__(self, folder: RunFolder, save: Save) -> None:
        self.folder, self.save = folder, save

    def on_train_epoch_end(self, trainer: pl.Trainer, task: pl.LightningModule) -> None:
        """The last checkpoint, the best where it is one, then what resuming needs."""
        assert isinstance(task, Task)
        epoch = trainer.current_epoch
        with telling_of_disk(self.folder.path):
            self.save(self.folder.last, epoch)
            if task.is_best():
                self.save(self.folder.best, epoch)
            self.folder.write_history(task.history)
            with whole_file(self.folder.resume_file) as path:
                trainer.save_checkpoint(path)

    def draw(self, task: Task) -> None:
        """Draw the curves; a picture that cannot be drawn must not spoil a run."""
        if not task.history:
            return
        title = f"{self.folder.facts['kind'].replace('_', ' ')}, mode {self.folder.facts['mode']}"
        path = self.folder.path / "curves.png"
        try:
            save_curves(task.history, task.metric, title, path, rising=task.rising)
        except OSError as error:
            logging.getLogger(__name__).warning("%s: cannot be written (%s)", path, error)
