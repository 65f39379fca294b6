"""The three stages behind ``ds.soup``: each is trained, and the last two infer, by themselves.

Training of every stage leaves a folder ``model_out`` with the best checkpoint, the last one, the
curves, and what resuming needs. It can be interrupted at any moment: ``resume=True`` goes on after
the last whole epoch as if nothing had happened. A finished model becomes the store's default for
its mode (``ds.soup.models``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import xarray as xr

if TYPE_CHECKING:
    import os

    import distributed

    from soupxr.models.checkpoint import Checkpoint
    from soupxr.training.augment import Augmentation

    PathLike = str | os.PathLike[str]

__all__ = ["FeatureExtractor", "FlowGenerator", "SequenceModel"]

Normalization = Literal["trial"] | tuple[Sequence[float], Sequence[float]] | None
StopMethod = Literal["learning_rate", "num_epochs"]
Group = Literal["animal", "session", "trial"] | None


class _Stage:
    """What the three have in common."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def __repr__(self) -> str:
        calls = ", ".join(f".{name}(…)" for name in dir(self))
        return f"{(type(self).__doc__ or '').splitlines()[0].rstrip('.')}: {calls}"

    def __dir__(self) -> list[str]:
        return [name for name in vars(type(self)) if not name.startswith("_")]


class FlowGenerator(_Stage):
    """Optic flow of the selected trials."""

    def train(
        self,
        mode: str = "fast",
        model_in: PathLike | None = None,
        model_out: PathLike | None = None,
        *,
        batch_size: int = 32,
        initial_lr: float = 1e-4,
        stop_method: StopMethod = "learning_rate",
        max_epochs: int = 10,
        patience: int = 3,
        training_steps: int = 1000,
        validation_steps: int = 200,
        flow_window: int | None = None,
        image_size: int | tuple[int, int] | None = None,
        preprocessing: Literal["antialias", "plain"] | None = None,
        augmentation: Augmentation | None = None,
        group: Group = None,
        validation: float = 0.2,
        seed: int = 0,
        num_workers: int | Literal["auto"] = "auto",
        device: str | None = None,
        precision: Literal["auto", "float32", "bfloat16"] | None = None,
        resume: bool = False,
        progress: bool | None = None,
    ) -> Checkpoint:
        """Train the flow generator of a mode on the selected trials' videos; no labels are needed.

        It learns that a frame looks like the next one pulled back along the flow; the best epoch
        is the one with the smallest SSIM loss on the validation part.

        Parameters
        ----------
        mode : {"fast", "medium", "slow"}
            Which network.
        model_in : path, optional
            Checkpoint to start from. Default: random weights.
        model_out : path
            Folder for the result; new, or that of the run to resume.
        batch_size : int
            Clips in a step.
        initial_lr : float
            Learning rate of the first epochs; divided by 10 whenever the metric stands still.
        stop_method : {"learning_rate", "num_epochs"}
            Stop when the learning rate has reached 5e-7, at the latest after ``max_epochs``; or
            after ``max_epochs``.
        max_epochs, training_steps, validation_steps : int
            Most epochs, and most batches in either part of one.
        patience : int
            Epochs without improvement after which the learning rate is lowered.
        flow_window : int, optional
            Frames that the network sees at once. Default: that of ``model_in``, else 11.
        image_size : int or (height, width), optional
            Pixels. Default: that of ``model_in``, else (224, 224). Trials that were cached at this
            size (``ds.soup.cache_frames``) are read from there, many times as fast.
        preprocessing : {"antialias", "plain"}, optional
            How frames are resized. Default: that of ``model_in``, else ``"antialias"``.
        augmentation : Augmentation, optional
            Random changes of training pictures. Default:
            ``soupxr.training.augment.Augmentation()``, for the flow generator with ``drift=1.0``:
            the whole picture moves within a clip. From still cameras alone a generator learns that
            nothing moves.
        group : {"animal", "session", "trial"}, optional
            What is kept together when trials are divided into a training and a validation part.
            Default: animals where there are at least two, else sessions, else trials.
        validation : float
            Part of the frames that is kept for validation.
        seed : int
            Of all random choices. On the CPU the same seed gives the same model.
        num_workers : int or "auto"
            Threads that read clips ahead of use.
        device : str, optional
            Default: the option ``device``.
        precision : {"auto", "float32", "bfloat16"}, optional
            Number format of the networks. Default: the option ``precision``, which is float32 where
            nobody changed it. ``"auto"`` is float32 here.
        resume : bool
            Go on with the interrupted run in ``model_out``.
        progress : bool, optional
            Show a bar with loss and metric; default is the option ``progress``.

        Returns
        -------
        Checkpoint
            The best epoch's. The store knows it from now on.

        Raises
        ------
        ArgumentError
            If an argument is of no use, there are fewer than three trials, or ``model_out`` holds
            another run.
        CheckpointError
            If ``model_in`` is of another mode; says of which.
        TrainingError
            If the loss becomes infinite or not a number; says at which trials and frames.
        """
        from soupxr.training.learn import train
        from soupxr.training.request import TrainingRequest

        return train(
            self._ds,
            mode,
            TrainingRequest(
                kind="flow_generator",
                model_in=model_in,
                model_out=model_out,
                batch_size=batch_size,
                initial_lr=initial_lr,
                stop_method=stop_method,
                max_epochs=max_epochs,
                patience=patience,
                training_steps=training_steps,
                validation_steps=validation_steps,
                flow_window=flow_window,
                image_size=image_size,
                preprocessing=preprocessing,
                augmentation=augmentation,
                group=group,
                validation=validation,
                seed=seed,
                num_workers=num_workers,
                device=device,
                precision=precision,
                resume=resume,
                progress=progress,
            ),
        )


class FeatureExtractor(_Stage):
    """Flow generator and two-stream feature extractor of the selected trials."""

    def train(
        self,
        mode: str = "fast",
        flow_model_in: PathLike | None = None,
        feature_model_in: PathLike | None = None,
        model_out: PathLike | None = None,
        *,
        annotator: str | None = None,
        source: Literal["annotation", "ethogram"] = "annotation",
        init: Literal["random", "imagenet"] = "random",
        batch_size: int = 32,
        initial_lr: float = 1e-4,
        stop_method: StopMethod = "learning_rate",
        max_epochs: int = 20,
        patience: int = 3,
        training_steps: int = 1000,
        validation_steps: int = 1000,
        image_size: int | tuple[int, int] | None = None,
        augmentation: Augmentation | None = None,
        weight_exponent: float = 1.0,
        oversampling: float = 0.0,
        group: Group = None,
        validation: float = 0.2,
        folds: int | None = None,
        seed: int = 0,
        num_workers: int | Literal["auto"] = "auto",
        device: str | None = None,
        precision: Literal["auto", "float32", "bfloat16"] | None = None,
        resume: bool = False,
        progress: bool | None = None,
    ) -> Checkpoint:
        """Train both classifiers of a mode on the labelled frames of the selected trials.

        Every labelled frame counts, those of partly labelled trials too; an unlabelled one never
        counts as "absent". The flow generator stays as it is. The best epoch is the one with the
        largest mean F1 of the behaviors on the validation part. Parameters that are not told here
        are those of :meth:`FlowGenerator.train`.

        Parameters
        ----------
        flow_model_in : path, optional
            Flow generator, which also says size, window and normalisation of the pictures.
            Default: the one that was trained last on this store.
        feature_model_in : path, optional
            Checkpoint to start from; its own flow generator is not used.
        annotator : str, optional
            Whose labels. Default: the only annotator there is.
        source : {"annotation", "ethogram"}
            Learn from people's labels, or from this mode's ethograms where they were checked.
        init : {"random", "imagenet"}
            How classifiers start without ``feature_model_in``. ``"imagenet"`` fetches torchvision's
            weights (modes ``fast`` and ``medium``), which helps where labels are few.
        weight_exponent : float
            Rare behaviors weigh (absent frames / frames with it) to this power; 0 weighs all alike.
        oversampling : float
            Frames of rare behaviors are drawn more often, by (their part of the frames) to the
            power of minus this; 0 draws all alike.
        folds : int, optional
            Before the model proper, train one for each of so many folds of the trials, so that
            ``sequence.train(folds=…)`` can judge every trial by models that never saw it.

        Returns
        -------
        Checkpoint
            The best epoch's, flow generator included. The store knows it from now on.

        Warns
        -----
        SoupWarning
            If the training part has no example of a behavior, or a video cannot be read.
        """
        from soupxr.training.learn import train
        from soupxr.training.request import TrainingRequest

        return train(
            self._ds,
            mode,
            TrainingRequest(
                kind="feature_extractor",
                flow_model_in=flow_model_in,
                model_in=feature_model_in,
                model_out=model_out,
                annotator=annotator,
                source=source,
                init=init,
                batch_size=batch_size,
                initial_lr=initial_lr,
                stop_method=stop_method,
                max_epochs=max_epochs,
                patience=patience,
                training_steps=training_steps,
                validation_steps=validation_steps,
                image_size=image_size,
                augmentation=augmentation,
                weight_exponent=weight_exponent,
                oversampling=oversampling,
                group=group,
                validation=validation,
                folds=folds,
                seed=seed,
                num_workers=num_workers,
                device=device,
                precision=precision,
                resume=resume,
                progress=progress,
            ),
        )

    def infer(
        self,
        mode: str = "fast",
        flow_model_in: PathLike | None = None,
        feature_model_in: PathLike | None = None,
        *,
        overwrite: bool = False,
        features: Literal["float32", "float16"] = "float32",
        image_size: int | tuple[int, int] | None = None,
        preprocessing: Literal["antialias", "plain"] | None = None,
        normalization: Normalization = None,
        device: str | None = None,
        precision: Literal["auto", "float32", "bfloat16"] | None = None,
        batch_size: int | Literal["auto"] = "auto",
        every: int = 1,
        errors: Literal["raise", "warn"] = "raise",
        progress: bool | None = None,
        client: distributed.Client | None = None,
        log: PathLike | None = None,
    ) -> xr.Dataset:
        """Extract and store features; parameters as :meth:`~soupxr.accessor.SoupAccessor.infer`.

        A trial whose features the same models made with the same settings is skipped, unless
        ``overwrite``. Read them with ``ds.soup.features(mode)``.
        """
        from soupxr.inference import run

        return run.infer(
            self._ds,
            mode,
            run.Request(
                stages=("features",),
                flow_model_in=flow_model_in,
                feature_model_in=feature_model_in,
                overwrite=overwrite,
                features=features,
                image_size=image_size,
                preprocessing=preprocessing,
                normalization=normalization,
                device=device,
                precision=precision,
                batch_size=batch_size,
                every=every,
                errors=errors,
                progress=progress,
                client=client,
                log=log,
            ),
        )


class SequenceModel(_Stage):
    """Sequence model of the selected trials."""

    def train(
        self,
        mode: str = "fast",
        model_in: PathLike | None = None,
        model_out: PathLike | None = None,
        *,
        annotator: str | None = None,
        source: Literal["annotation", "ethogram"] = "annotation",
        batch_size: int = 32,
        initial_lr: float = 1e-4,
        stop_method: StopMethod = "learning_rate",
        max_epochs: int = 100,
        patience: int = 5,
        training_steps: int = 1000,
        validation_steps: int = 1000,
        weight_exponent: float = 1.0,
        group: Group = None,
        validation: float = 0.2,
        folds: int | None = None,
        seed: int = 0,
        device: str | None = None,
        precision: Literal["auto", "float32", "bfloat16"] | None = None,
        resume: bool = False,
        progress: bool | None = None,
    ) -> Checkpoint:
        """Train the sequence model of a mode on the selected trials' features and labels.

        The features have to be there (``ds.soup.feature_extractor.infer(mode)``). Trials are
        divided as for the feature extractor that made them, so that the validation part is new to
        both. The best epoch is the one with the largest mean F1, background included; the
        thresholds at which it has it go into the checkpoint.
        Parameters that are not told here are those of :meth:`FlowGenerator.train` and
        :meth:`FeatureExtractor.train`.

        Parameters
        ----------
        batch_size : int
            Windows of 180 frames in a step.
        folds : int, optional
            Before the model proper, cross-validate, and store out-of-fold probabilities for
            ``ds.soup.evaluate(…, on="out-of-fold")``. A feature extractor that was trained on these
            trials must have been trained with as many folds.

        Returns
        -------
        Checkpoint
            The best epoch's. The store knows it from now on.
        """
        from soupxr.training.learn import train
        from soupxr.training.request import TrainingRequest

        return train(
            self._ds,
            mode,
            TrainingRequest(
                kind="sequence",
                model_in=model_in,
                model_out=model_out,
                annotator=annotator,
                source=source,
                batch_size=batch_size,
                initial_lr=initial_lr,
                stop_method=stop_method,
                max_epochs=max_epochs,
                patience=patience,
                training_steps=training_steps,
                validation_steps=validation_steps,
                weight_exponent=weight_exponent,
                group=group,
                validation=validation,
                folds=folds,
                seed=seed,
                device=device,
                precision=precision,
                resume=resume,
                progress=progress,
            ),
        )

    def infer(
        self,
        mode: str = "fast",
        model_in: PathLike | None = None,
        *,
        overwrite: bool = False,
        thresholds: Mapping[str, float] | float | None = None,
        minimum_bout: int | Mapping[str, int] | None = None,
        device: str | None = None,
        errors: Literal["raise", "warn"] = "raise",
        progress: bool | None = None,
        client: distributed.Client | None = None,
        log: PathLike | None = None,
    ) -> xr.Dataset:
        """Make probabilities and ethograms from stored features; no video is read.

        Parameters as :meth:`~soupxr.accessor.SoupAccessor.infer`. A trial without features fails
        with that reason.
        """
        from soupxr.inference import run

        return run.infer(
            self._ds,
            mode,
            run.Request(
                stages=("sequence",),
                sequence_model_in=model_in,
                overwrite=overwrite,
                thresholds=thresholds,
                minimum_bout=minimum_bout,
                device=device,
                errors=errors,
                progress=progress,
                client=client,
                log=log,
            ),
        )
