"""What ``ds.soup.view()`` and its siblings do: check what was asked for, and make the viewer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import xarray as xr

from soupxr.dashboard.doubt import Review, Stretch, doubtful_stretches
from soupxr.dashboard.uses import Clean, Compare, Manual, Use, View, sources_of
from soupxr.dashboard.viewer import Viewer
from soupxr.dashboard.workbench import Workbench
from soupxr.dataset import keys_of, store_of
from soupxr.errors import ArgumentError, expected
from soupxr.labels import LabelSource, check_annotator, label_source
from soupxr.modes import get_mode
from soupxr.schema import Status
from soupxr.store import Store

__all__ = ["Order", "clean_ethograms", "compare_ethograms", "manual_ethograms", "view"]

Order = Literal["trial", "uncertain"]


def view(ds: xr.Dataset, mode: str | None, annotator: str | None) -> Viewer:
    """Look at trials; see ``ds.soup.view``."""
    store, keys = _selected(ds, "view")
    if mode is not None:
        get_mode(mode)
    if annotator is not None:
        label_source(store, annotator=annotator)
    mode = mode or _mode_with_results(store, keys)
    annotator = annotator or next(iter(store.labels("annotator")), None)
    return _viewer(store, keys, lambda: View(store, mode, annotator))


def clean_ethograms(
    ds: xr.Dataset,
    mode: str | None,
    source: str | None,
    annotator: str,
    order: Order,
) -> Viewer:
    """Correct ethograms; see ``ds.soup.clean_ethograms``."""
    store, keys = _selected(ds, "clean_ethograms")
    check_annotator(store, annotator)
    if order not in ("trial", "uncertain"):
        raise ArgumentError(expected("order", "'trial' or 'uncertain'", order))
    if mode is None and source is None:
        mode = _mode_with_results(store, keys) or store.modes[0]
    begin = label_source(store, mode=mode, annotator=source, caller="clean_ethograms")
    if begin == LabelSource("annotation", annotator):
        remedy = "Name the labels to begin with in source=, and yours in annotator=."
        raise ArgumentError(expected("annotator", "another than source", annotator, remedy))
    stretches = _doubtful(store, keys, begin) if order == "uncertain" else None
    return _viewer(store, keys, lambda: Clean(store, annotator, begin), stretches)


def manual_ethograms(ds: xr.Dataset, annotator: str) -> Viewer:
    """Make ethograms by hand; see ``ds.soup.manual_ethograms``."""
    store, keys = _selected(ds, "manual_ethograms")
    check_annotator(store, annotator)
    return _viewer(store, keys, lambda: Manual(store, annotator))


def compare_ethograms(
    ds: xr.Dataset, modes: Sequence[str] | None, annotators: Sequence[str] | None
) -> Viewer:
    """Compare ethograms; see ``ds.soup.compare_ethograms``."""
    store, keys = _selected(ds, "compare_ethograms")
    for argument, given in (("modes", modes), ("annotators", annotators)):
        if isinstance(given, str):
            raise ArgumentError(expected(argument, "a list of names", given))
    if modes is None and annotators is None:
        sources = [one for one in sources_of(store) if _says_something(store, keys, one)]
    else:
        sources = [label_source(store, mode=name) for name in modes or ()]
        sources += [label_source(store, annotator=name) for name in annotators or ()]
    if len(set(sources)) < 2:
        found = [one.name for one in sources]
        remedy = "Name modes=[…] and annotators=[…]; ds.soup.infer and ds.soup.annotate add some."
        raise ArgumentError(
            expected("compare_ethograms", "two sources of ethograms or more", found, remedy)
        )
    return _viewer(store, keys, lambda: Compare(store, sources))


def _selected(ds: xr.Dataset, caller: str) -> tuple[Store, list[str]]:
    store = store_of(ds)
    # Others may have removed some since the Dataset was opened.
    known = store.slot_of_each_key()
    keys = [key for key in keys_of(ds) if key in known]
    if not keys:
        remedy = 'ds = ds.soup.add_item("<animal>") adds some.'
        raise ArgumentError(expected(caller, "a selection with trials", "none", remedy))
    return store, keys


def _viewer(
    store: Store,
    keys: list[str],
    make_use: Callable[[], Use],
    stretches: Sequence[Stretch] | None = None,
) -> Viewer:
    def open_page() -> Workbench:
        review = None if stretches is None else Review(stretches)
        return Workbench(store.address, keys, make_use(), review)

    animals = len({key.partition("/")[0] for key in keys})
    told = f"{len(keys)} trial{'s' if len(keys) > 1 else ''} of {animals} animal"
    return Viewer(make_use().editor, open_page, told + ("s" if animals > 1 else ""))


def _mode_with_results(store: Store, keys: Sequence[str]) -> str | None:
    slots = store.slots(keys)
    done = (mode for mode in store.modes if (store.statuses(mode, slots) == Status.COMPLETE).any())
    return next(done, None)


def _says_something(store: Store, keys: Sequence[str], source: LabelSource) -> bool:
    slots = store.slots(keys)
    if source.variable == "annotation":
        return bool(store.labelled([source.name], slots).any())
    return bool((store.statuses(source.name, slots) == Status.COMPLETE).any())


def _doubtful(store: Store, keys: Sequence[str], begin: LabelSource) -> list[Stretch]:
    if begin.variable != "ethogram":
        remedy = 'Pass mode=…, or order="trial".'
        raise ArgumentError(expected("order", "ethograms of a mode", begin.name, remedy))
    stretches = doubtful_stretches(store, keys, begin.name)
    if not stretches:
        raise ArgumentError(
            f"order: expected trials inferred in mode {begin.name!r}, but found none. "
            f'Run ds.soup.infer(mode="{begin.name}") first.'
        )
    return stretches
