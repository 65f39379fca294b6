"""``Dataset.soup``: short methods that forward to the modules that do the work.

The accessor holds no state, for xarray drops it on most operations. What it needs is in the
Dataset: the store's address in ``attrs``, the trials in the coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

from soupxr.stages import FeatureExtractor, FlowGenerator, SequenceModel

if TYPE_CHECKING:
    import os

    import distributed
    import numpy.typing as npt
    import pandas as pd

    from soupxr.check import Check
    from soupxr.dashboard.viewer import Viewer

    PathLike = str | os.PathLike[str]

__all__ = ["SoupAccessor"]

Normalization = Literal["trial"] | tuple[Sequence[float], Sequence[float]] | None


@xr.register_dataset_accessor("soup")
class SoupAccessor:
    """What soupxr can do with a Dataset that :func:`soupxr.open` returned, or a selection of it."""

    def __init__(self, ds: xr.Dataset) -> None:
        self._ds = ds

    def __repr__(self) -> str:
        from soupxr import overview

        return overview.text_of(self._ds)

    def _repr_html_(self) -> str:
        from soupxr import overview

        return overview.html_of(self._ds)

    def __dir__(self) -> list[str]:
        # What Tab offers: no inner workings.
        return [name for name in vars(type(self)) if not name.startswith("_")]

    # ------------------------------------------------------------------ trials

    def add_item(
        self,
        animal: str,
        session: str | None = None,
        trial_id: int | None = None,
        experiment: str | None = None,
        *,
        pattern: str | None = None,
        new_only: bool = False,
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
        new_only : bool
            Pass over trials that are in the store already, as after each day of recording; by
            default they are an error.
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
            self._ds,
            animal,
            session,
            trial_id,
            experiment,
            pattern=pattern,
            new_only=new_only,
            progress=progress,
        )

    def find_item(
        self,
        animal: str,
        session: str | None = None,
        trial_id: int | None = None,
        *,
        pattern: str | None = None,
        new_only: bool = False,
        progress: bool | None = None,
    ) -> pd.DataFrame:
        """List what :meth:`add_item` would add, or tell why it could not; nothing is written.

        Parameters as there.

        Returns
        -------
        pandas.DataFrame
            One row a trial: animal, session, trial_id, n_frames, fps (Hz).

        Raises
        ------
        IngestError
            As :meth:`add_item`.
        """
        from soupxr import catalog

        return catalog.find_item(
            self._ds,
            animal,
            session,
            trial_id,
            pattern=pattern,
            new_only=new_only,
            progress=progress,
        )

    def remove_item(
        self, animal: str, session: str | None = None, trial_id: int | None = None
    ) -> xr.Dataset:
        """Remove an animal, a session, or one trial, with all results and annotations.

        This cannot be undone. The videos stay.

        Parameters
        ----------
        animal, session : str
            Without a session, all sessions of the animal are removed.
        trial_id : int, optional
            One trial of ``session``.

        Returns
        -------
        xarray.Dataset
            The whole store, opened anew.

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
        status (none, features, complete, failed; deciding or replacing where new thresholds were
        being applied, or a result replaced, when the process ended: ``infer`` finishes it), notes.
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

        Parameters
        ----------
        mode : {"fast", "medium", "slow"}
            Whose features.

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

        Parameters
        ----------
        mode : {"fast", "medium", "slow"}, optional
            Whose ethograms.
        annotator : str, optional
            Whose labels. One of the two has to be given.

        Returns
        -------
        pandas.DataFrame
            One row a bout: animal, session, trial_id, behavior, start, stop (frames, half-open),
            duration_s. ``attrs["provenance"]`` tells what made them: models, thresholds.
        """
        from soupxr import catalog

        return catalog.bouts_table(self._ds, mode=mode, annotator=annotator)

    def annotate(
        self,
        labels: xr.DataArray | pd.DataFrame | npt.NDArray[Any],
        *,
        annotator: str,
        unit: Literal["frame", "second"] = "frame",
        rest: Literal["absent", "unlabelled"] = "absent",
        trials: Literal["listed", "selected"] = "listed",
        overwrite: bool = False,
    ) -> xr.Dataset:
        """Write a person's labels of selected trials: all or, if anything is wrong, none.

        Parameters
        ----------
        labels : DataArray, DataFrame or ndarray
            A DataArray (frame, behavior) or (trial, frame, behavior), in any order of dimensions,
            of 1 (occurs), 0 (does not), −1 or NaN (unlabelled). Its coordinates tell which trial,
            frame and behavior is meant, and what they leave out is unlabelled; without them,
            the order of the selection and the store holds. Labels of one trial may be a NumPy array
            (frame, behavior).

            Or a table of bouts with the columns animal, session, trial_id, behavior, start, stop
            (half-open); others are ignored. Each of the first three may be absent where one value
            of it is selected. Bouts of one behavior that overlap count as one, with a warning
            that names their rows. ``sup`` is taken for ``supinate``.
        annotator : str
            Who labelled; a new name adds an annotator.
        unit : {"frame", "second"}
            Of a table's start and stop. Seconds go to the nearest edge between two frames, those in
            the middle to the even one; a bout too short to have an edge between its ends is the
            one frame in which it begins.
        rest : {"absent", "unlabelled"}
            What a frame of a labelled trial is that no bout in the table covers.
        trials : {"listed", "selected"}
            ``"selected"`` labels trials without a row in the table too, with ``rest`` everywhere.
        overwrite : bool
            Replace what this annotator has said of these trials.

        Returns
        -------
        xarray.Dataset
            The same trials, opened anew.

        Raises
        ------
        ArgumentError
            If labels do not fit the selected trials and the store's behaviors, or trials are
            labelled by this annotator already. Tells every problem with its row.

        Examples
        --------
        >>> table = pd.read_csv("bouts.csv")  # doctest: +SKIP
        >>> ds = ds.soup.annotate(table, annotator="Ana", unit="second")  # doctest: +SKIP
        """
        from soupxr.annotation import annotate

        return annotate.annotate(
            self._ds,
            labels,
            annotator=annotator,
            unit=unit,
            rest=rest,
            trials=trials,
            overwrite=overwrite,
        )

    def check(
        self,
        *,
        repair: bool = False,
        videos: bool = True,
        quick: bool = False,
        progress: bool | None = None,
    ) -> Check:
        """Look the store over: is everything readable, whole, and what it says it is?

        Of the store: its arrays and tables, and what killed writers and removed trials left. Of
        each selected trial: the results of every mode (as long as the trial, without gaps, in
        agreement with status and provenance), the features that a provenance vouches for, all
        labels, the videos and their frames. And the checkpoints behind all that. Nothing is written
        unless ``repair``. Cached frames are not looked at; they can be made anew at any time.

        Damage that still decodes to sensible values cannot be noticed: chunks have no checksums.

        Parameters
        ----------
        repair : bool
            Reset what is broken to "not done", so that the next run does it again, finish what was
            being replaced, and free what is left over. Labels are never touched, and results that
            are whole stay.
        videos : bool
            Measure the videos too, which takes most of the time.
        quick : bool
            Of features, only look whether files are there and as long as they say.
        progress : bool, optional
            Show bars over trials and videos; default is the option ``progress``.

        Returns
        -------
        Check
            ``ok`` (whether no error is left), ``findings`` (a pandas table), and a repr that tells
            the most important ones.

        Raises
        ------
        StoreError
            If something is to be repaired and the store cannot be written.

        Examples
        --------
        >>> ds.soup.check(videos=False)  # doctest: +SKIP
        >>> ds.sel(animal="M1").soup.check(repair=True).findings  # doctest: +SKIP
        """
        from soupxr.check import check

        return check(self._ds, repair=repair, videos=videos, quick=quick, progress=progress)

    # ------------------------------------------------------------------ frames for training

    def cache_frames(
        self,
        size: int | tuple[int, int],
        *,
        preprocessing: Literal["antialias", "plain"] = "antialias",
        progress: bool | None = None,
    ) -> xr.Dataset:
        """Keep the selected trials' frames in the store, decoded and resized, for training.

        Training reads short clips from anywhere in the videos; from here it does so many times
        as fast as by seeking. A trial that is cached already is skipped, so the call can be killed
        at any moment and goes on when it is made again. What it may need on disk is told by the
        progress bar and by ``logging`` before anything is written.

        Parameters
        ----------
        size : int or (height, width)
            Of the networks' input, in pixels.
        preprocessing : {"antialias", "plain"}
            How frames are resized; see :meth:`infer`.
        progress : bool, optional
            Show a bar over frames; default is the option ``progress``.

        Returns
        -------
        xarray.Dataset
            The same trials, opened anew.

        Warns
        -----
        SoupWarning
            Lists trials whose video could not be read; the others are cached.

        Raises
        ------
        StoreError
            If the disk has not enough free space; nothing was written.
        """
        from soupxr import framecache

        return framecache.cache_frames(
            self._ds, size, preprocessing=preprocessing, progress=progress
        )

    def drop_cache(self, size: int | tuple[int, int] | None = None) -> xr.Dataset:
        """Remove cached frames, of all trials, and free their disk space.

        Parameters
        ----------
        size : int or (height, width), optional
            Which; default is all sizes.

        Returns
        -------
        xarray.Dataset
            The same trials, opened anew.

        Raises
        ------
        ArgumentError
            If there is no cache of this size.
        """
        from soupxr import framecache

        return framecache.drop_cache(self._ds, size)

    # ------------------------------------------------------------------ the dashboard

    def view(self, mode: str | None = None, annotator: str | None = None) -> Viewer:
        """Look at the selected trials: their frames, and the ethogram below.

        Parameters
        ----------
        mode : {"fast", "medium", "slow"}, optional
            Whose ethograms. Default: the first mode that has any. The page can change it.
        annotator : str, optional
            Whose labels are drawn below. Default: the first annotator, if there is one.

        Returns
        -------
        Viewer
            ``.show()`` serves it on this machine and opens the browser; in a notebook it displays
            inline. ``viewer.selection``, ``viewer.frame`` and ``viewer.ethogram`` are what is on
            the page, and setting them moves it.

        Raises
        ------
        ArgumentError
            If the selection is empty, or there is no such mode or annotator.
        """
        from soupxr.dashboard import app

        return app.view(self._ds, mode, annotator)

    def clean_ethograms(
        self,
        mode: str | None = None,
        *,
        source: str | None = None,
        annotator: str = "cleaned",
        order: Literal["trial", "uncertain"] = "trial",
    ) -> Viewer:
        """Correct ethograms beside the video.

        A trial begins with what ``annotator`` has saved of it, else with the ethogram of ``mode``
        or the labels of ``source``, which are never written over. Edits are saved as they are made.

        Parameters
        ----------
        mode : {"fast", "medium", "slow"}, optional
            Whose ethograms to begin with. Default: the first mode that has any.
        source : str, optional
            An annotator whose labels to begin with, in place of a mode's.
        annotator : str, default "cleaned"
            Whose labels the edits become.
        order : {"trial", "uncertain"}, default "trial"
            ``"uncertain"`` puts first what is most worth a look: N goes from one stretch in which
            the model is in doubt, or modes disagree, to the next.

        Returns
        -------
        Viewer
            As of :meth:`view`.

        Raises
        ------
        ArgumentError
            If the selection is empty, an argument is of no use, or nothing is inferred that could
            be ranked.
        """
        from soupxr.dashboard import app

        return app.clean_ethograms(self._ds, mode, source, annotator, order)

    def manual_ethograms(self, annotator: str = "human") -> Viewer:
        """Make ethograms by hand beside the video, from nothing.

        What was not looked at stays unlabelled (−1); a key sets what was watched and has no label
        to absent (0). Edits are saved as they are made.

        Parameters
        ----------
        annotator : str, default "human"
            Whose labels the edits become.

        Returns
        -------
        Viewer
            As of :meth:`view`.

        Raises
        ------
        ArgumentError
            If the selection is empty, or the name cannot be used.
        """
        from soupxr.dashboard import app

        return app.manual_ethograms(self._ds, annotator)

    def compare_ethograms(
        self,
        modes: Sequence[str] | None = None,
        annotators: Sequence[str] | None = None,
    ) -> Viewer:
        """Compare ethograms, one below the other, with their disagreements shaded.

        Parameters
        ----------
        modes : sequence of str, optional
            Modes to be compared.
        annotators : sequence of str, optional
            Annotators to be compared. By default all modes and annotators that have anything.

        Returns
        -------
        Viewer
            As of :meth:`view`.

        Raises
        ------
        ArgumentError
            If there are fewer than two of them, or the selection is empty.
        """
        from soupxr.dashboard import app

        return app.compare_ethograms(self._ds, modes, annotators)

    def plot_ethogram(
        self,
        *,
        mode: str | None = None,
        annotator: str | None = None,
        truth: str | None = None,
        probability: bool = False,
        align: str = "start",
        by: Literal["animal", "session"] | None = None,
        limit: int = 500,
    ) -> Any:
        """Draw the ethograms of the selected trials: one in full, or many below one another.

        Parameters
        ----------
        mode : {"fast", "medium", "slow"}, optional
            Whose ethograms. Default: the first mode that has any, else the only annotator.
        annotator : str, optional
            Whose labels to draw in place of a mode's ethograms.
        truth : str, optional
            An annotator whose labels are drawn pale below them.
        probability : bool
            Of one trial, draw the probabilities and their thresholds too.
        align : str
            What stands at time 0: ``"start"``, the first frame of each trial; or a behavior, the
            first frame in which it occurs. Trials without it are left out.
        by : {"animal", "session"}, optional
            Put the trials of each together, under its name.
        limit : int
            Draw so many trials at most: the first ones.

        Returns
        -------
        holoviews.Overlay
            Styled for both backends: ``hv.save(picture, "ethograms.html")``, or with
            ``backend="matplotlib"`` to PNG and SVG.

        Warns
        -----
        SoupWarning
            If trials are left out.

        Raises
        ------
        ArgumentError
            If an argument is of no use, or no trial is left.
        """
        from soupxr.dashboard.plots import plot_ethogram

        return plot_ethogram(
            self._ds,
            mode=mode,
            annotator=annotator,
            truth=truth,
            probability=probability,
            align=align,
            by=by,
            limit=limit,
        )

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
        precision: Literal["auto", "float32", "bfloat16"] | None = None,
        batch_size: int | Literal["auto"] = "auto",
        every: int = 1,
        errors: Literal["raise", "warn"] = "raise",
        progress: bool | None = None,
        client: distributed.Client | None = None,
        log: PathLike | None = None,
    ) -> xr.Dataset:
        """Infer ethograms for every selected trial that is not complete.

        Video → features → probabilities → ethogram, trial by trial, on the active dask scheduler.
        Each trial is committed when it is whole: the call can be killed at any moment and goes on
        where it was when it is made again. A complete trial is skipped without a look at its video.
        Two runs on one store share its trials: one that another run is at work on is left to that
        run, and waited for at the end.

        Parameters
        ----------
        mode : {"fast", "medium", "slow"}
            Which networks.
        flow_model_in, feature_model_in, sequence_model_in : path, optional
            Checkpoints. Default: those that were trained last on this store (``ds.soup.models``),
            else the published models of the trials' ``experiment``. Without ``flow_model_in``, the
            flow generator inside ``feature_model_in`` is used.
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
        precision : {"auto", "float32", "bfloat16"}, optional
            Number format of the networks. Default: the option ``precision``, which is float32 where
            nobody changed it. ``"auto"`` takes bfloat16 where the machine is faster in it and
            ethograms were found to agree: in mode ``fast``, on 99.98 % of rendered frames
            and 99.92 % of real ones (``benchmarks/README.md``).
        batch_size : int or "auto"
            Windows that go through the networks at once; halved when memory runs out.
        every : int
            ``every=3`` lets the networks look at every third frame, and at the last one, and
            interpolates features linearly in between: about three times as fast, for high-speed
            video on a computer without a GPU. Windows still hold consecutive frames, and the
            sequence model still sees every frame. What it costs: ``benchmarks/README.md``.
        errors : {"raise", "warn"}
            What to do at the end if trials failed. The others are inferred either way.
        progress : bool, optional
            Show a bar over frames; default is the option ``progress``.
        client : distributed.Client, optional
            Spread the trials over this cluster's workers. Default: the client that is active, if
            there is one; else this process does it.
        log : path, optional
            Append to this file a line of JSON for the start of the run, for each trial, and for
            the end.

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
                every=every,
                errors=errors,
                progress=progress,
                client=client,
                log=log,
            ),
        )

    # ------------------------------------------------------------------ evaluation

    def evaluate(
        self,
        mode: str,
        annotator: str | None = None,
        *,
        on: Literal["unseen", "all", "out-of-fold"] = "unseen",
        by: Literal["animal", "session", "trial"] | None = None,
        overlap: float = 0.5,
        thresholds: Mapping[str, float] | float | None = None,
        progress: bool | None = None,
    ) -> xr.Dataset:
        """Score a mode's ethograms, or a second annotator, against an annotator's labels.

        Unlabelled frames do not count: a frame that lacks a label for one behavior counts for the
        others. Background is what the truth or the prediction leaves when no behavior occurs.

        Parameters
        ----------
        mode : str
            ``"fast"``, ``"medium"``, ``"slow"``, or the name of an annotator: then two people are
            compared, and what needs probabilities is NaN.
        annotator : str, optional
            Whose labels are the truth. Default: the only annotator there is.
        on : {"unseen", "all", "out-of-fold"}
            ``"unseen"``: the selected trials that the models behind their results did not learn
            from; those on which the best epoch was chosen are among them, and the attribute
            ``n_validation_trials`` says how many. Models from elsewhere have seen none.
            ``"all"``: these too. ``"out-of-fold"``: what cross-validation
            (``train(…, folds=k)``) said of each trial by the models that it was kept from.
        by : {"animal", "session", "trial"}, optional
            One row each, along a first dimension of that name (a session is ``animal/session``).
            Default: all frames and bouts together.
        overlap : float
            Smallest intersection over union at which a predicted bout counts as the labelled one.
            Bouts are matched one to one, as many as possible, then with the largest sum of
            intersections over unions. A bout is cut where it touches unlabelled frames; what is
            left counts, but a cut edge has no onset or offset error.
        thresholds : float or mapping of behavior to float, optional
            Score ethograms by these thresholds instead of the stored ones, which stay.
        progress : bool, optional
            Show a bar over trials; default is the option ``progress``.

        Returns
        -------
        xarray.Dataset
            In memory, without any tie to the store; ``to_zarr`` and ``to_netcdf`` keep it.

            By behavior: ``precision``, ``recall``, ``f1``, ``average_precision``, ``auroc``,
            ``kappa``, ``support``, ``n_frames``, ``confusion`` (behavior, label, prediction);
            ``bout_precision``, ``bout_recall``, ``bout_f1`` with the counts behind them;
            ``onset_error`` (mean, positive where late) and ``onset_absolute_error`` in frames and,
            as ``…_ms``, in milliseconds, and the same of the offset;
            ``expected_calibration_error``, ``temperature`` and ``calibrated_error`` (the error
            once logits are divided by that temperature; fitted on these very frames);
            ``threshold``; ``curve_precision`` and ``curve_recall`` along ``curve_threshold``.

            By group alone: ``f1_mean`` over the ``n_behaviors_in_mean`` behaviors whose F1 is
            defined, ``f1_background``, ``f1_mean_with_background``. ``confusion_rate``
            (class, predicted_class) says what is predicted where a class occurs.

            A score whose definition is left open is NaN: recall and average precision of a
            behavior that never occurs, precision of one never predicted, F1 where both are so.

        Raises
        ------
        ArgumentError
            If there is nothing to score, in particular no labelled trial that is unseen; the
            message says what to do.

        Examples
        --------
        >>> scores = ds.soup.evaluate("fast", "Ana", by="animal")  # doctest: +SKIP
        >>> scores.f1.to_pandas()  # doctest: +SKIP
        """
        from soupxr.evaluation import evaluate

        return evaluate.evaluate(
            self._ds,
            mode,
            annotator,
            on=on,
            by=by,
            overlap=overlap,
            thresholds=thresholds,
            progress=progress,
        )

    def optimize_thresholds(
        self,
        mode: str,
        annotator: str | None = None,
        *,
        on: Literal["held-out", "out-of-fold", "validation", "all"] = "held-out",
        minimum_bout: Literal["labels", "keep"] | int = "labels",
        score: Literal["f1", "informedness"] = "f1",
        dry_run: bool = False,
    ) -> xr.Dataset:
        """Fit thresholds and minimum bouts to labels, and put them into force.

        They are kept in the store for the sequence model whose probabilities they were fitted to,
        so that ``infer`` uses them from now on, and the ethogram of every complete trial of this
        selection is derived anew from its stored probabilities. No network runs.

        Each behavior has the threshold with the best score of 200 between 0 and 1, frame by frame.
        Then of its minimum bouts, and of the threshold and minimum bout in force, the best by the
        same score is taken; so it does not get worse on these trials. A behavior that no label
        shows keeps what it has.

        Parameters
        ----------
        mode : {"fast", "medium", "slow"}
            Whose probabilities.
        annotator : str, optional
            Whose labels. Default: the only annotator there is.
        on : {"held-out", "out-of-fold", "validation", "all"}
            Labelled trials to fit on. ``"held-out"``: out-of-fold probabilities where there are
            any, else the trials that the models were validated on. ``"all"``: every complete
            trial, which is sound for models that were trained elsewhere.
        minimum_bout : {"labels", "keep"} or int
            ``"labels"``: the first percentile of the labelled bouts' lengths, or the length in
            force, or none, whichever is best. ``"keep"``: the length in force. Or frames.
        score : {"f1", "informedness"}
            What to maximise; informedness is recall + specificity − 1.
        dry_run : bool
            Only fit and report; nothing is stored. The attribute ``n_ethograms_changed`` says how
            many would be derived anew.

        Returns
        -------
        xarray.Dataset
            ``threshold``, ``minimum_bout`` and ``f1`` by behavior, each also as it was before
            (``…_before``), ``support`` and ``n_frames``. F1 is that of the trials fitted on.

        Raises
        ------
        ArgumentError
            If there are no such trials, or results come from different sequence models.
        """
        from soupxr.evaluation import thresholds

        return thresholds.optimize_thresholds(
            self._ds,
            mode,
            annotator,
            on=on,
            minimum_bout=minimum_bout,
            score=score,
            dry_run=dry_run,
        )

    def plot(self, path: PathLike | None = None) -> Any:
        """Draw an evaluation: bars of F1, precision-recall curves, a confusion matrix.

        Parameters
        ----------
        path : path, optional
            Save the picture there: ``.png``, ``.svg`` or ``.pdf``, or ``.html`` that can be
            zoomed and fetches nothing from the network.

        Returns
        -------
        holoviews.Layout or pathlib.Path
            The picture; with ``path``, where it was saved.

        Raises
        ------
        ArgumentError
            If this Dataset is not what :meth:`evaluate` returned, or has several groups:
            select one first, ``scores.sel(animal="M1").soup.plot()``.
        """
        from soupxr.dashboard import scores

        if path is None:
            return scores.evaluation_picture(self._ds)
        return scores.save_evaluation(self._ds, path)

    @property
    def models(self) -> pd.DataFrame:
        """Table of the models that were trained on this store, the newest last.

        Columns: mode, kind, trained (UTC), metric and its value on the validation part, path,
        there (whether the file still is), default (whether ``infer`` takes it).
        """
        from soupxr import known_models

        return known_models.models_table(self._ds)

    @property
    def flow_generator(self) -> FlowGenerator:
        """The first stage alone: optic flow, trained from video without labels."""
        return FlowGenerator(self._ds)

    @property
    def feature_extractor(self) -> FeatureExtractor:
        """The second stage alone: from video and its flow to features."""
        return FeatureExtractor(self._ds)

    @property
    def sequence(self) -> SequenceModel:
        """The third stage alone: from features to ethograms."""
        return SequenceModel(self._ds)
