"""Pictures of the ethograms of a selection: one trial in full, or many below one another."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from soupxr.bouts import onsets
from soupxr.dashboard.ethogram import behavior_colors
from soupxr.dashboard.picture import draw
from soupxr.dashboard.sheet import Clock, TimeAxis, raster_sheet
from soupxr.dashboard.stack import Stacked, stack_sheet
from soupxr.dataset import keys_of, store_of
from soupxr.errors import ArgumentError, SoupWarning, expected, listed
from soupxr.evaluation.decisions import results_of
from soupxr.labels import LabelSource, label_source, read_labels
from soupxr.schema import Status
from soupxr.store import Store, StoredTrial

if TYPE_CHECKING:
    import holoviews as hv

__all__ = ["plot_ethogram"]

START = "start"
GROUPS = ("animal", "session")
#: Names that a warning spells out.
TOLD = 5

Mask = npt.NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class _Labels:
    """What is drawn of one trial, and where on the axis of time."""

    trial: StoredTrial
    ethogram: Mask
    truth: Mask | None
    clock: Clock


def plot_ethogram(
    ds: xr.Dataset,
    *,
    mode: str | None = None,
    annotator: str | None = None,
    truth: str | None = None,
    probability: bool = False,
    align: str = START,
    by: Literal["animal", "session"] | None = None,
    limit: int = 500,
) -> hv.Overlay:
    """Draw the ethograms of the selected trials; see ``ds.soup.plot_ethogram``.

    Parameters
    ----------
    ds : xarray.Dataset
        The selection; also of behaviors.
    mode : {"fast", "medium", "slow"}, optional
        Whose ethograms. Default: the first mode that has any, else the only annotator.
    annotator : str, optional
        Whose labels to draw in place of a mode's ethograms.
    truth : str, optional
        An annotator whose labels are drawn pale below them.
    probability : bool
        Of one trial, draw the probabilities and their thresholds too.
    align : str
        What stands at time 0: ``"start"``, the first frame of each trial; or a behavior, the first
        frame in which it occurs in the ethogram that is drawn. Trials without it are left out.
    by : {"animal", "session"}, optional
        Put the trials of each together, under its name. Default: the order of the selection.
    limit : int
        Draw so many trials at most: the first ones.

    Returns
    -------
    holoviews.Overlay
        Styled for both bokeh and matplotlib: ``hv.save(picture, "ethograms.html")``,
        ``hv.save(picture, "ethograms.svg", backend="matplotlib")``, or a PNG.

    Warns
    -----
    SoupWarning
        If trials are left out: more than ``limit``, or without the behavior of ``align``.

    Raises
    ------
    ArgumentError
        If an argument is of no use, or no trial is left.
    """
    store, keys = store_of(ds), keys_of(ds)
    if not keys:
        remedy = 'ds = ds.soup.add_item("<animal>") adds some.'
        raise ArgumentError(expected("plot_ethogram", "a selection with trials", "none", remedy))
    trials = _limited(store, keys, limit)
    source = _source(store, trials, mode, annotator)
    checked = None if truth is None else _truth(store, truth, source)
    _check(store, source, keys, probability, align, by)
    columns = _columns(ds, store)
    drawn = _aligned(_read(store, source, checked, trials), align, store.labels("behavior"))
    title, axis = _title(source, drawn, len(trials), len(keys), align), _axis(drawn, align)
    unknown = "not inferred" if source.variable == "ethogram" else "not labelled"
    rules = () if align == START else (0.0,)
    colors, places = behavior_colors(columns), list(columns.values())
    if len(drawn) > 1:
        stacked = _grouped(drawn, places, by)
        return draw(stack_sheet(stacked, colors, axis, rules, unknown), title)
    (one,) = drawn
    rows = {source.name: one.ethogram[:, places]}
    if truth is not None and one.truth is not None:
        rows[truth] = one.truth[:, places]
    curves: npt.NDArray[np.float32] | None = None
    limits: list[float | None] = [None] * len(places)
    if probability:
        curves, limits = _curves(store, source.name, one, columns)
    sheet = raster_sheet(rows, colors, curves, limits, truth, one.clock, axis, rules, unknown)
    return draw(sheet, title)


# ------------------------------------------------------------------ what was asked for


def _limited(store: Store, keys: Sequence[str], limit: int) -> list[StoredTrial]:
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise ArgumentError(expected("limit", "a number of trials from 1", limit))
    if len(keys) > limit:
        warnings.warn(
            f"plot_ethogram: the first {limit} of {len(keys)} trials are drawn. "
            f"Select others, or pass limit={len(keys)}.",
            SoupWarning,
            stacklevel=4,
        )
    return store.trials(keys[:limit])


def _source(
    store: Store, trials: Sequence[StoredTrial], mode: str | None, annotator: str | None
) -> LabelSource:
    if mode is None and annotator is None:
        slots = [trial.slot for trial in trials]
        done = [m for m in store.modes if (store.statuses(m, slots) == Status.COMPLETE).any()]
        people = store.labels("annotator")
        if not done and len(people) != 1:
            came = f"trials without ethograms, and the annotators {people}"
            remedy = 'ds.soup.infer(mode="fast") makes ethograms.'
            raise ArgumentError(expected("plot_ethogram", "mode= or annotator=", came, remedy))
        mode, annotator = (done[0], None) if done else (None, people[0])
    return label_source(store, mode=mode, annotator=annotator, caller="plot_ethogram")


def _truth(store: Store, truth: str, source: LabelSource) -> LabelSource:
    known = [name for name in store.labels("annotator") if name != source.name]
    if truth not in known:
        raise ArgumentError(expected("truth", f"one of the (other) annotators {known}", truth))
    return LabelSource("annotation", truth)


def _columns(ds: xr.Dataset, store: Store) -> dict[str, int]:
    """Selected behaviors, and their places in the store."""
    known = store.labels("behavior")
    if "behavior" not in ds.coords:
        return {name: place for place, name in enumerate(known)}
    chosen = [str(name) for name in np.atleast_1d(ds["behavior"].values)]
    if not chosen or not set(chosen) <= set(known):
        raise ArgumentError(expected("behavior", f"a selection of {known}", chosen))
    return {name: known.index(name) for name in chosen}


def _check(
    store: Store,
    source: LabelSource,
    keys: Sequence[str],
    probability: bool,
    align: str,
    by: str | None,
) -> None:
    if probability and len(keys) > 1:
        remedy = "Select one: ds.sel(animal=…, session=…, trial_id=…)."
        came = f"{len(keys)} trials"
        raise ArgumentError(expected("probability", "a selection of one trial", came, remedy))
    if probability and source.variable != "ethogram":
        remedy = "Pass mode=…; what people say has no probability."
        raise ArgumentError(expected("probability", "a mode's ethogram", source.name, remedy))
    if align != START and align not in store.labels("behavior"):
        expectation = f"{START!r} or one of {store.labels('behavior')}"
        raise ArgumentError(expected("align", expectation, align))
    if by is not None and by not in GROUPS:
        raise ArgumentError(expected("by", f"one of {list(GROUPS)}, or None", by))


# ------------------------------------------------------------------ reading and aligning


def _read(
    store: Store, source: LabelSource, truth: LabelSource | None, trials: Sequence[StoredTrial]
) -> list[_Labels]:
    true = {}
    if truth is not None:
        true = {trial.key: mask for trial, mask in read_labels(store, truth, trials)}
    return [
        _Labels(trial, mask, true.get(trial.key), Clock(trial.fps, 0.0, 1 / trial.fps))
        for trial, mask in read_labels(store, source, trials)
    ]


def _aligned(labels: Sequence[_Labels], align: str, behaviors: Sequence[str]) -> list[_Labels]:
    """Trials with time 0 where it is wanted; without those that have no such moment."""
    if align == START:
        return list(labels)
    column, drawn, lacking = behaviors.index(align), [], []
    for one in labels:
        first = onsets(one.ethogram[:, column] == 1)[:1]
        if not len(first):
            lacking.append(one.trial.key)
            continue
        step = one.clock.step
        clock = Clock(one.clock.fps, -float(first[0]) * step, step)
        drawn.append(_Labels(one.trial, one.ethogram, one.truth, clock))
    if not drawn:
        remedy = f'align="{START}" needs none.'
        raise ArgumentError(expected("align", "a behavior that occurs", align, remedy))
    if lacking:
        more = [f"and {len(lacking) - TOLD} more"] if len(lacking) > TOLD else []
        warnings.warn(
            f"plot_ethogram: trials without {align} are left out:" + listed(lacking[:TOLD] + more),
            SoupWarning,
            stacklevel=4,
        )
    return drawn


def _axis(drawn: Sequence[_Labels], align: str) -> TimeAxis:
    left = min(one.clock.start for one in drawn)
    right = max(one.clock.at(float(len(one.ethogram))) for one in drawn)
    rates = {one.trial.fps for one in drawn}
    since = "" if align == START else f" from the first {align}"
    above = (f"frame{since}", rates.pop()) if len(rates) == 1 else None
    return TimeAxis(left, right if right > left else left + 1, f"time{since} (s)", above)


def _title(
    source: LabelSource, drawn: Sequence[_Labels], n_read: int, n_selected: int, align: str
) -> str:
    silent = sum(not (one.ethogram >= 0).any() for one in drawn)
    word = "not inferred yet" if source.variable == "ethogram" else "not labelled yet"
    if n_read == 1:
        return f"{drawn[0].trial.key} · {source.name}" + (f": {word}" if silent else "")
    trials = f"{len(drawn)} trials" if len(drawn) > 1 else drawn[0].trial.key
    parts = [f"{source.name} · {trials}"]
    parts += [f"{silent} {word}"] if silent else []
    parts += [f"{n_read - len(drawn)} without {align} left out"] if n_read > len(drawn) else []
    parts += [f"the first {n_read} of {n_selected}"] if n_selected > n_read else []
    return ", ".join(parts)


# ------------------------------------------------------------------ what a sheet is laid out of


def _curves(
    store: Store, mode: str, one: _Labels, columns: Mapping[str, int]
) -> tuple[npt.NDArray[np.float32], list[float | None]]:
    """Probabilities, NaN where nothing is inferred, and thresholds, where these are known."""
    if not (one.ethogram >= 0).any():
        return np.full((len(one.ethogram), len(columns)), np.nan, np.float32), [None] * len(columns)
    place = (store.mode_index(mode), one.trial.slot, slice(0, one.trial.n_frames))
    probability = np.asarray(store.arrays["probability"][place], dtype=np.float32)
    return probability[:, list(columns.values())], _thresholds(store, mode, one.trial, columns)


def _thresholds(
    store: Store, mode: str, trial: StoredTrial, behaviors: Iterable[str]
) -> list[float | None]:
    """By which the ethogram was made, where the provenance says."""
    names = list(behaviors)
    decision = results_of(store, mode, [trial])[trial.key].decision(names)
    return [None] * len(names) if decision is None else [*decision.thresholds[1:]]


def _grouped(drawn: Sequence[_Labels], places: list[int], by: str | None) -> list[Stacked]:
    """Trials in the order in which they are drawn: groups by their first trial."""
    stacked = [_stacked(one, places, by) for one in drawn]
    order = {group: place for place, group in reversed(list(enumerate(s.group for s in stacked)))}
    return sorted(stacked, key=lambda one: order[one.group])


def _stacked(one: _Labels, places: list[int], by: str | None) -> Stacked:
    trial = one.trial
    within = {None: trial.key, "animal": f"{trial.session}/{trial.trial_id}"}
    group = {None: None, "animal": trial.animal}.get(by, f"{trial.animal}/{trial.session}")
    return Stacked(
        key=trial.key,
        name=within.get(by, str(trial.trial_id)),
        group=group,
        ethogram=one.ethogram[:, places],
        # A trial that nobody has labelled has no place kept free for it.
        truth=None if one.truth is None or not (one.truth >= 0).any() else one.truth[:, places],
        clock=one.clock,
    )
