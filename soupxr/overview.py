"""What a Dataset holds, how far it has come, and what to call next: for ``ds.soup``'s own repr.

Reads tables and status marks only, so that it is quick on a store of ten thousand trials. The page
for notebooks fetches nothing and takes its colours from the notebook, so that it can be read on
dark ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import xarray as xr

from soupxr.dataset import data_root, keys_of, store_of
from soupxr.errors import SoupError
from soupxr.schema import Status

__all__ = ["Overview", "html_of", "overview", "text_of"]

#: Animals that the page lists.
MOST_ANIMALS = 12
#: Calls that are proposed.
MOST_STEPS = 4
NOTHING = "nothing inferred yet"


@dataclass(frozen=True)
class Animal:
    """One row of the page: an animal's trials.

    Parameters
    ----------
    name : str
        The animal.
    sessions, trials : int
        How many.
    statuses : mapping of str to Counter
        By mode: number of trials with each status.
    """

    name: str
    sessions: int
    trials: int
    statuses: Mapping[str, Counter[Status]]


@dataclass(frozen=True)
class Overview:
    """What is told of a selection.

    Parameters
    ----------
    address : str
        The store.
    root : str
        Folder of the videos.
    trials, all_trials : int
        Selected, and in the store.
    frames : int
        Of the selected trials.
    seconds : float
        How long they last together.
    behaviors, views : sequence of str
        Of the store.
    animals : sequence of Animal
        Of the selected trials.
    statuses : mapping of str to Counter
        By mode: number of selected trials with each status.
    labelled : mapping of str to int
        By annotator: number of selected trials that are labelled.
    key : tuple of (str, str, int) or None
        The trial, where there is only one.
    """

    address: str
    root: str
    trials: int
    all_trials: int
    frames: int
    seconds: float
    behaviors: Sequence[str]
    views: Sequence[str]
    animals: Sequence[Animal]
    statuses: Mapping[str, Counter[Status]]
    labelled: Mapping[str, int]
    key: tuple[str, str, int] | None

    def steps(self) -> list[tuple[str, str]]:
        """What to call next, and why: the most useful first."""
        if not self.all_trials:
            return [('ds = ds.soup.add_item("<animal>")', "find and measure its videos")]
        if not self.trials:
            return [("sx.open(…)", "no trial is selected; the store has some")]
        return list(self._steps())[:MOST_STEPS]

    def _steps(self) -> Iterator[tuple[str, str]]:
        judges = [name for name, count in self.labelled.items() if count]
        complete = [mode for mode, counts in self.statuses.items() if counts[Status.COMPLETE]]
        for mode, counts in self.statuses.items():
            if failed := counts[Status.FAILED]:
                yield f'ds.error.sel(mode="{mode}").values', f"why {_trials(failed)} failed"
        for mode, counts in self.statuses.items():
            left = self.trials - counts[Status.COMPLETE]
            if left and (counts.total() > counts[Status.NONE]):
                yield f'ds = ds.soup.infer(mode="{mode}")', f"goes on: {_trials(left)} left"
        if not any(counts.total() > counts[Status.NONE] for counts in self.statuses.values()):
            yield 'ds = ds.soup.infer(mode="fast")', "make ethograms"
        for mode in complete[:1]:
            yield "ds.soup.view()", "look at them beside the video"
            if judges:
                yield f"ds.soup.evaluate({mode!r}, {judges[0]!r})", "how good are they?"
            else:
                yield f'ds.soup.clean_ethograms(mode="{mode}")', "correct them"
            yield f'ds.soup.bouts(mode="{mode}")', "a table, one row a bout"
        if not complete and self.key is not None:
            yield "ds.soup.video()", "its frames"
        if not complete and not judges:
            yield "ds.soup.manual_ethograms()", "label by hand"
        if not complete and judges:
            yield f"ds.soup.bouts(annotator={judges[0]!r})", "a table, one row a bout"


def overview(ds: xr.Dataset) -> Overview:
    """Gather it.

    Raises
    ------
    SoupError
        If the Dataset does not know its store, or the store cannot be read.
    """
    store = store_of(ds)
    keys = keys_of(ds)
    slots = store.slots(keys)
    columns = {name: store.column(name, slots) for name in ("animal", "session", "trial_id")}
    n_frames, fps = store.column("n_frames", slots), store.column("fps", slots)
    codes = {mode: store.statuses(mode, slots) for mode in store.modes}
    animals = []
    for name in dict.fromkeys(columns["animal"].tolist()):
        chosen = columns["animal"] == name
        animals.append(
            Animal(
                str(name),
                len(set(columns["session"][chosen].tolist())),
                int(chosen.sum()),
                {mode: _counted(values[chosen]) for mode, values in codes.items()},
            )
        )
    is_one = len(keys) == 1
    return Overview(
        address=store.address,
        root=str(data_root(store)),
        trials=len(keys),
        all_trials=len(store.keys()),
        frames=int(n_frames.sum()),
        seconds=float((n_frames / np.where(fps > 0, fps, np.inf)).sum()),
        behaviors=store.labels("behavior"),
        views=store.labels("view"),
        animals=animals,
        statuses={mode: _counted(values) for mode, values in codes.items()},
        labelled={
            name: int(store.labelled([name], slots).sum()) for name in store.labels("annotator")
        },
        key=tuple(values.tolist()[0] for values in columns.values()) if is_one else None,
    )


def _counted(codes: np.ndarray) -> Counter[Status]:
    return Counter(Status(int(code)) for code in codes)


def _trials(count: int) -> str:
    return f"{count:,} trial" if count == 1 else f"{count:,} trials"


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _progress(counts: Counter[Status]) -> str:
    """Such as ``3 complete, 1 failed``; empty where nothing has been done."""
    shown = (Status.COMPLETE, Status.DECIDING, Status.FEATURES, Status.FAILED)
    return ", ".join(f"{counts[one]:,} {one.name.lower()}" for one in shown if counts[one])


def _facts(told: Overview) -> Iterator[tuple[str, str]]:
    """What the text and the page have in common."""
    of = f" of {told.all_trials:,}" if told.trials != told.all_trials else ""
    yield (
        "trials",
        f"{told.trials:,}{of} ({told.frames:,} frames, {_duration(told.seconds)}; "
        f"{len(told.animals)} animal{'' if len(told.animals) == 1 else 's'})",
    )
    yield "behaviors", ", ".join(told.behaviors)
    yield "views", f"{', '.join(told.views)}, under {told.root}"
    if told.labelled:
        yield (
            "labelled",
            ", ".join(f"{_trials(count)} by {name}" for name, count in told.labelled.items()),
        )


def _no_store(ds: xr.Dataset, error: SoupError) -> str:
    if "average_precision" in ds or "kappa" in ds:
        return "scores, in memory\n  next       .soup.plot()  # draws them"
    return str(error)


def text_of(ds: xr.Dataset) -> str:
    """Say it in a few lines. A repr raises nothing: what is wrong is its text."""
    try:
        told = overview(ds)
    except SoupError as error:
        return _no_store(ds, error)
    lines = [f"soupxr store {told.address}"]
    lines += [f"  {name:<10} {fact}" for name, fact in _facts(told)]
    lines += [
        f"  {mode:<10} {_progress(counts) or NOTHING}" for mode, counts in told.statuses.items()
    ]
    for number, (call, why) in enumerate(told.steps()):
        lines.append(f"  {'next' if number == 0 else '':<10} {call}  # {why}")
    return "\n".join(lines)


# ------------------------------------------------------------------ notebooks

#: Colours of JupyterLab and VS Code where they are, else of nothing in particular.
STYLE = """
.soupxr { color: var(--jp-content-font-color1, var(--vscode-editor-foreground, inherit)); }
.soupxr table { border-collapse: collapse; margin: 0.4em 0; }
.soupxr th, .soupxr td { text-align: left; padding: 0.1em 1em 0.1em 0; vertical-align: top;
  border: 0; background: none; }
.soupxr th { font-weight: 600; }
.soupxr th[scope=row], .soupxr .soupxr-why { font-weight: normal; opacity: 0.7; }
.soupxr .soupxr-failed { font-weight: 600; text-decoration: underline; }
"""


def html_of(ds: xr.Dataset) -> str:
    """The same as a part of a page, with a row for each animal."""
    try:
        told = overview(ds)
    except SoupError as error:
        return f"<pre>{escape(_no_store(ds, error))}</pre>"
    return "".join(
        [
            f'<div class="soupxr"><style>{STYLE}</style>',
            f"<div><b>soupxr store</b> <code>{escape(told.address)}</code></div>",
            _table((f'<th scope="row">{escape(a)}</th>', escape(b)) for a, b in _facts(told)),
            _animals(told),
            "<div><b>Next</b></div>" if told.steps() else "",
            _table(
                (
                    f"<td><code>{escape(call)}</code></td>",
                    f'<span class="soupxr-why">{escape(why)}</span>',
                )
                for call, why in told.steps()
            ),
            "</div>",
        ]
    )


def _table(rows: Iterator[tuple[str, str]]) -> str:
    return f"<table>{''.join(f'<tr>{first}<td>{rest}</td></tr>' for first, rest in rows)}</table>"


def _animals(told: Overview) -> str:
    """How far each animal has come in each mode."""
    if not told.animals:
        return ""
    names = ("animal", "sessions", "trials", *told.statuses)
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = [_animal(one) for one in told.animals[:MOST_ANIMALS]]
    if (more := len(told.animals) - MOST_ANIMALS) > 0:
        rows.append(f'<tr><td colspan="{len(names)}">and {more:,} more</td></tr>')
    return f"<table><tr>{head}</tr>{''.join(rows)}</table>"


def _animal(one: Animal) -> str:
    cells = [escape(one.name), f"{one.sessions:,}", f"{one.trials:,}"]
    for counts in one.statuses.values():
        progress = escape(_progress(counts)) or "–"
        if counts[Status.FAILED]:
            progress = f'<span class="soupxr-failed">{progress}</span>'
        cells.append(progress)
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
