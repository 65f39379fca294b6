"""The overview as text, and as a part of a notebook's page.

The page fetches nothing and takes its colours from the notebook, so that it can be read on dark
ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape

import xarray as xr

from soupxr.errors import SoupError
from soupxr.overview.facts import Animal, Overview, overview
from soupxr.overview.steps import counted, steps
from soupxr.schema import WITH_RESULT, Status

__all__ = ["html_of", "text_of"]

#: Animals that the page lists.
MOST_ANIMALS = 12
NOTHING = "nothing inferred yet"


def _duration(seconds: float) -> str:
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"


def _progress(counts: Counter[Status]) -> str:
    """Such as ``3 complete, 1 failed``; empty where nothing has been done."""
    shown = (*WITH_RESULT, Status.FEATURES, Status.FAILED)
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
            ", ".join(f"{counted(count)} by {name}" for name, count in told.labelled.items()),
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
    for number, (call, why) in enumerate(steps(told)):
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
            "<div><b>Next</b></div>" if steps(told) else "",
            _table(
                (
                    f"<td><code>{escape(call)}</code></td>",
                    f'<span class="soupxr-why">{escape(why)}</span>',
                )
                for call, why in steps(told)
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
