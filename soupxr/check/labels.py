"""Can people's labels, and what cross-validation said, be read?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from soupxr.check.found import Finding, reason
from soupxr.store import OutOfFold, Store, StoredTrial
from soupxr.store.address import is_url
from soupxr.store.direct import slots_with_labels, trial_rows
from soupxr.store.ondisk import labelled_rows
from soupxr.store.repair import withdraw_out_of_fold

__all__ = ["annotation_findings", "out_of_fold_findings", "unnamed_annotators"]


def annotation_findings(
    store: Store, annotator: str, trials: Sequence[StoredTrial]
) -> Iterator[Finding | None]:
    """Whatever is wrong with an annotator's labels; one or None for each labelled trial.

    Never with a repair: nobody but people writes labels.
    """
    array, row = store.arrays["annotation"], store.labels("annotator").index(annotator)
    labelled = set(slots_with_labels(store.address, array, row))
    for trial in trials:
        if trial.slot not in labelled:
            continue
        try:
            labels = trial_rows(store.address, array, (row, trial.slot), trial.n_frames)
        except Exception as error:  # whatever a codec makes of damaged bytes
            wrong = (
                f"labels cannot be read ({reason(error)}). Put them back from a backup, or label "
                "the trial anew with overwrite=True"
            )
        else:
            wrong = "" if np.isin(labels, (-1, 0, 1)).all() else "labels other than 1, 0 and -1"
        named = (trial.animal, trial.session, trial.trial_id)
        yield Finding("error", "annotation", wrong, named, annotator) if wrong else None


def unnamed_annotators(store: Store) -> Iterator[Finding]:
    """Labels of annotators who are not in the list, as a killed writer leaves them."""
    if is_url(store.address):
        return
    known = len(store.labels("annotator"))
    rows = [row for row in labelled_rows(store.address, store.arrays["annotation"]) if row >= known]
    if rows:
        yield Finding(
            "warning",
            "leftover",
            f"labels of {len(rows)} annotator(s) without a name are on disk, as a writer that was "
            "killed leaves them; the next new annotator takes their place",
        )


def out_of_fold_findings(
    store: Store, mode: str, trials: Sequence[StoredTrial]
) -> Iterator[Finding]:
    """Whatever is wrong with what cross-validation said of trials."""
    folds = OutOfFold(store, mode)
    for trial in trials:
        try:
            probability = folds.read(trial)
        except Exception as error:  # whatever a codec makes of damaged bytes
            wrong = f"out-of-fold probabilities cannot be read ({reason(error)})"
        else:
            if probability is None or not np.isnan(probability).any():
                continue
            wrong = "out-of-fold probabilities are incomplete"

        def repair(key: str = trial.key) -> bool:
            withdraw_out_of_fold(store.address, mode, key)
            return True

        named = (trial.animal, trial.session, trial.trial_id)
        yield Finding("error", "out of fold", wrong, named, mode, repair)
