"""``Dataset.soup``: short methods that forward to the modules that do the work.

The accessor holds no state, for xarray drops it on most operations. What it needs is in the
Dataset: the store's address in ``attrs``, the trials in the coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import xarray as xr

if TYPE_CHECKING:
    import os

    import pandas as pd

    PathLike = str | os.PathLike[str]

__all__ = ["SoupAccessor"]

Normalization = Literal["trial"] | tuple[Sequence[float], Sequence[float]] | None


@xr.register_dataset_accessor("soup")
class SoupAccessor:
    """What soupxr can do with a Dataset that :func:`soupxr.open` returned, or a selection of it."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def __repr__(self) -> str:
        from soupxr import catalog

        return catalog.describe(self._ds)

    # ------------------------------------------------------------------ trials

    def add_item(
        self,
        animal: str,
        session: str | None = None,
        trial_id: int | None = None,
        experiment: str | None = None,
        *,
        pattern: str | None = None,
        progress: bool | None = None,
    ) -> xr.Dataset:
        """Add an animal, a session, or one trial: all of it or, if anything is wrong, nothing.

        Every video under ``data_root/animal/session`` is measured; frames are counted exactly.

        Parameters
        ----------
        animal, session : str
            Names of folders. Without a session, all sessions of the animal are added.
        trial_id : int, optional
            One trial of ``session``.
        experiment : str, optional
            ``"table"``, ``"pez"`` or the lab's own word; chooses the default models.
        pattern : str, optional
            Overrides the store's pattern for file names; see :func:`soupxr.create`.
        progress : bool, optional
            Show a bar; default is the option ``progress``.

        Returns
        -------
        xarray.Dataset
            The whole store, opened anew.

        Raises
        ------
        IngestError
            If trials are in the store already, a view is missing, a video cannot be read, or the
            views differ in rate or height. Tells every problem of every file; the store is as
            it was.
        """
        from soupxr import catalog

        return catalog.add_item(
            self._ds, animal, session, trial_id, experiment, pattern=pattern, progress=progress
        )

    def remove_item(
        self, animal: str, session: str | None = None, trial_id: int | None = None
    ) -> xr.Dataset:
        """Remove an animal, a session, or one trial, with all results and annotations.

        The videos stay. Returns the whole store, opened anew.

        Raises
        ------
        ArgumentError
            If the store has no such trials.
        """
        from soupxr import catalog

        return catalog.remove_item(self._ds, animal, session, trial_id)

    @property
    def trials(self) -> pd.DataFrame:
        """Table of the trials, one row each.

        Columns: animal, session, trial_id, n_frames, fps (Hz), experiment, one per mode with the
        status (none, features, complete, failed), notes.
        """
        from soupxr import catalog

        return catalog.trials_table(self._ds)

    def video(self, view: str | None = None) -> xr.DataArray:
        """Frames of the one selected trial, decoded as they are asked for.

        Parameters
        ----------
        view : str, optional
            One camera; default joins all views along x, in the order of the store's ``view``.

        Returns
        -------
        xarray.DataArray
            uint8 (frame, y, x, channel), RGB, backed by dask, with the coordinate ``time`` (s).

        Raises
        ------
        ArgumentError
            If not exactly one trial is selected, or there is no such view.
        VideoError
            If a video is missing or cannot be read.

        Examples
        --------
        >>> trial = ds.sel(animal="M1", session="S1", trial_id=3)  # doctest: +SKIP
        >>> trial.soup.video().isel(frame=100).plot.imshow()  # doctest: +SKIP
        """
        from soupxr import catalog

        return catalog.video(self._ds, view)

    def features(self, mode: str) -> xr.Dataset:
        """Stored features of the selected trials, lazily.

        Returns
        -------
        xarray.Dataset
            ``spatial`` and ``flow`` (trial, frame, feature), ``logit`` (trial, frame, class);
            NaN where there are none.
        """
        from soupxr import catalog

        return catalog.features(self._ds, mode)

    def bouts(self, mode: str | None = None, annotator: str | None = None) -> pd.DataFrame:
        """Bouts of a mode's ethograms or of an annotator's labels.

        Returns
        -------
        pandas.DataFrame
            One row a bout: animal, session, trial_id, behavior, start, stop (frames, half-open),
            duration_s.
        """
        from soupxr import catalog

        return catalog.bouts_table(self._ds, mode=mode, annotator=annotator)

    # ------------------------------------------------------------------ inference

    def infer(
        self,
        mode: str = "fast",
        *,
        flow_model_in: PathLike | None = None,
        feature_model_in: PathLike | None = None,
        sequence_model_in: PathLike | None = None,
        overwrite: bool = False,
        features: Literal["float32", "float16", "none"] = "float32",
        thresholds: Mapping[str, float] | float | None = None,
        minimum_bout: int | Mapping[str, int] | None = None,
        image_size: int | tuple[int, int] | None = None,
        preprocessing: Literal["antialias", "plain"] | None = None,
        normalization: Normalization = None,
        device: str | None = None,
        precision: Literal["float32", "bfloat16"] | None = None,
        batch_size: int | Literal["auto"] = "auto",
        errors: Literal["raise", "warn"] = "raise",
        progress: bool | None = None,
    ) -> xr.Dataset:
        """Infer ethograms for every selected trial that is not complete.

        Video → features → probabilities → ethogram, trial by trial, on the active dask scheduler.
        Each trial is committed when it is whole: the call can be killed at any moment and goes on
        where it was when it is made again. A complete trial is skipped without a look at its video.

        Parameters
        ----------
        mode : {"fast", "medium", "slow"}
            Which networks.
        flow_model_in, feature_model_in, sequence_model_in : path, optional
            Checkpoints. Default: the published models of the trials' ``experiment``. Without
            ``flow_model_in``, the flow generator inside ``feature_model_in`` is used.
        overwrite : bool
            Redo complete trials too. Features that the same models made of the same video are
            reused; ``ds.soup.feature_extractor.infer(overwrite=True)`` makes them anew. A trial
            that cannot be redone keeps its earlier result.
        features : {"float32", "float16", "none"}
            How features are kept: exactly (about 3.1 KB a frame on disk), rounded to the precision
            of float16 (about 1.5 KB), or not at all. Exact ones that are there already serve
            for all three. Kept features save the video part when only
            the sequence model or the thresholds change.
        thresholds : float or mapping of behavior to float, optional
            Probability above which a behavior occurs. Default: the checkpoint's; else, for the
            published behaviors, the published ones; else 0.5.
        minimum_bout : int or mapping of behavior to int, optional
            Shorter bouts and gaps, in frames, are removed. Default: the checkpoint's, else 3.
        image_size : int or (height, width), optional
            Size of the networks' input in pixels. Default: the checkpoint's, else (224, 224).
        preprocessing : {"antialias", "plain"}, optional
            How frames are resized. Default: the checkpoint's, else ``"antialias"``.
        normalization : "trial" or (mean, std), optional
            Statistics of each trial's own video (every 10th frame), or three means and three
            standard deviations of pixel values in [0, 1]. Default: the checkpoint's, else
            ``"trial"``.
        device : str, optional
            Default: the option ``device``; ``"auto"`` takes CUDA, then MPS, then the CPU.
        precision : {"float32", "bfloat16"}, optional
            Default: the option ``precision``.
        batch_size : int or "auto"
            Windows that go through the networks at once; halved when memory runs out.
        errors : {"raise", "warn"}
            What to do at the end if trials failed. The others are inferred either way.
        progress : bool, optional
            Show a bar over frames; default is the option ``progress``.

        Returns
        -------
        xarray.Dataset
            The same trials, opened anew.

        Raises
        ------
        InferenceError
            If trials failed; lists them with their reasons. Also in the variable ``error``.
        CheckpointError
            If a checkpoint cannot be read or is of another mode.
        """
        from soupxr.inference import run

        return run.infer(
            self._ds,
            mode,
            run.Request(
                flow_model_in=flow_model_in,
                feature_model_in=feature_model_in,
                sequence_model_in=sequence_model_in,
                overwrite=overwrite,
                features=features,
                thresholds=thresholds,
                minimum_bout=minimum_bout,
                image_size=image_size,
                preprocessing=preprocessing,
                normalization=normalization,
                device=device,
                precision=precision,
                batch_size=batch_size,
                errors=errors,
                progress=progress,
            ),
        )

    @property
    def feature_extractor(self) -> FeatureExtractor:
        """The first stage alone: from video to features."""
        return FeatureExtractor(self._ds)

    @property
    def sequence(self) -> SequenceModel:
        """The second stage alone: from features to ethograms."""
        return SequenceModel(self._ds)


class FeatureExtractor:
    """Flow generator and two-stream feature extractor of the selected trials."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

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
        precision: Literal["float32", "bfloat16"] | None = None,
        batch_size: int | Literal["auto"] = "auto",
        errors: Literal["raise", "warn"] = "raise",
        progress: bool | None = None,
    ) -> xr.Dataset:
        """Extract and store features; parameters as :meth:`SoupAccessor.infer`.

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
                errors=errors,
                progress=progress,
            ),
        )


class SequenceModel:
    """Sequence model of the selected trials."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

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
    ) -> xr.Dataset:
        """Make probabilities and ethograms from stored features; no video is read.

        Parameters as :meth:`SoupAccessor.infer`. A trial without features fails with that reason.
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
            ),
        )
