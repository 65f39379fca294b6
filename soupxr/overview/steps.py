"""What to call next: calls that work on a selection as it is, the most useful first."""

from __future__ import annotations

from collections.abc import Iterator

from soupxr.overview.facts import Overview
from soupxr.schema import Status

__all__ = ["counted", "steps"]

Step = tuple[str, str]

#: Calls that are proposed.
MOST = 4
#: Labelled trials that training needs, to learn from and to validate on.
ENOUGH = 3
#: What inference needs of a store's own models; a feature extractor has its flow generator inside.
NEEDED = frozenset({"feature_extractor", "sequence"})


def steps(told: Overview) -> list[Step]:
    """What to call next, and why."""
    if not told.all_trials:
        return [('ds = ds.soup.add_item("<animal>")', "find and measure its videos")]
    if not told.trials:
        return [("sx.open(…)", "no trial is selected; the store has some")]
    return list(_steps(told))[:MOST]


def counted(n_trials: int) -> str:
    """Such as ``1 trial`` and ``1,234 trials``."""
    return f"{n_trials:,} trial" if n_trials == 1 else f"{n_trials:,} trials"


def _steps(told: Overview) -> Iterator[Step]:
    yield from _inference(told)
    complete = [mode for mode, counts in told.statuses.items() if counts[Status.COMPLETE]]
    if complete:
        yield from _results(told, complete[0])
    else:
        yield from _labels(told)


def _inference(told: Overview) -> Iterator[Step]:
    for mode, counts in told.statuses.items():
        if failed := counts[Status.FAILED]:
            yield f'ds.error.sel(mode="{mode}").values', f"why {counted(failed)} failed"
    begun = [mode for mode, counts in told.statuses.items() if counts.total() > counts[Status.NONE]]
    ready = [mode for mode in told.statuses if _has_models(told, mode)]
    for mode in begun:
        left = told.trials - told.statuses[mode][Status.COMPLETE]
        if left and mode in ready:
            yield f'ds = ds.soup.infer(mode="{mode}")', f"goes on: {counted(left)} left"
    if not begun and ready:
        yield f'ds = ds.soup.infer(mode="{ready[0]}")', "make ethograms"


def _has_models(told: Overview, mode: str) -> bool:
    """Whether inference finds models by itself: it takes the store's own before published ones."""
    own = told.models[mode]
    if "feature_extractor" in own:
        return own >= NEEDED
    return mode in told.published


def _results(told: Overview, mode: str) -> Iterator[Step]:
    yield "ds.soup.view()", "look at them beside the video"
    if judges := told.judges[mode]:
        yield f"ds.soup.evaluate({mode!r}, {judges[0]!r})", "how good are they?"
    else:
        yield f'ds.soup.clean_ethograms(mode="{mode}")', "correct them"
    yield f'ds.soup.bouts(mode="{mode}")', "a table, one row a bout"


def _labels(told: Overview) -> Iterator[Step]:
    """Where there is no ethogram yet."""
    by = {name: count for name, count in told.labelled.items() if count}
    if told.key is not None:
        yield "ds.soup.video()", "its frames"
    if not by:
        yield "ds.soup.manual_ethograms()", "label by hand"
        return
    name = max(by, key=by.__getitem__)
    if not any(_has_models(told, mode) for mode in told.statuses):
        if by[name] >= ENOUGH:
            yield _training(told, name)
        else:
            yield "ds.soup.manual_ethograms()", f"label {ENOUGH} trials or more, to train on them"
    yield f"ds.soup.bouts(annotator={name!r})", "a table, one row a bout"


def _training(told: Overview, annotator: str) -> Step:
    """The next of the three models."""
    mode, own = max(told.models.items(), key=lambda known: len(known[1]))
    whose = f'"{mode}", annotator={annotator!r}'
    if "feature_extractor" in own:
        counts = told.statuses[mode]
        there = counts[Status.FEATURES]
        if not there or there + counts[Status.FAILED] < told.trials:
            return f'ds = ds.soup.feature_extractor.infer("{mode}")', "what the third learns from"
        return f"ds.soup.sequence.train({whose})", "the last of three models"
    if "flow_generator" in own:
        return f"ds.soup.feature_extractor.train({whose})", "the second of three models"
    return f'ds.soup.flow_generator.train("{mode}")', "train on your labels: first of three models"
