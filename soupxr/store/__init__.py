"""The Zarr store, and the only package that writes it.

Three promises hold for every function here.

*A trial is there or it is not.* Rows are written before the key that makes them valid
(``schema.INDEXES``), results before the status that commits them; a process killed in between
leaves something that readers pass over and the next writer overwrites.

*No writer disturbs another.* One process at a time adds or removes trials, under a lock that ends
with its process. Results of different trials never share a chunk. A removed trial's place is never
given to another, so a result that comes too late falls into a place that nobody reads.

*Positions are resolved here.* Callers name trials by key; labels are never matched by Zarr.
"""

from soupxr.store.address import store_address
from soupxr.store.annotations import (
    Conflict,
    PartlyWritten,
    labelled_trials,
    read_annotation,
    withdraw_annotator,
    write_annotations,
)
from soupxr.store.creation import create
from soupxr.store.folds import (
    OutOfFold,
    clear_out_of_fold,
    read_out_of_fold,
    write_out_of_fold,
)
from soupxr.store.framecache import (
    CachedFrames,
    FrameCache,
    cache_path,
    cached_source,
    drop_frame_caches,
    frame_caches,
)
from soupxr.store.groups import require_group
from soupxr.store.imported import (
    ImportedResult,
    has_result,
    write_imported,
)
from soupxr.store.lookup import Store, StoredTrial
from soupxr.store.membership import add_trials, correct_trial, remove_trials
from soupxr.store.models import (
    FittedDecision,
    ModelRecord,
    add_model,
    fitted_decision,
    models,
    set_decision,
)
from soupxr.store.permission import ReadOnly, os_error, why_read_only
from soupxr.store.results import Overtaken, TrialResults

__all__ = [
    "CachedFrames",
    "Conflict",
    "FittedDecision",
    "FrameCache",
    "ImportedResult",
    "ModelRecord",
    "OutOfFold",
    "Overtaken",
    "PartlyWritten",
    "ReadOnly",
    "Store",
    "StoredTrial",
    "TrialResults",
    "add_model",
    "add_trials",
    "cache_path",
    "cached_source",
    "clear_out_of_fold",
    "correct_trial",
    "create",
    "drop_frame_caches",
    "fitted_decision",
    "frame_caches",
    "has_result",
    "labelled_trials",
    "models",
    "os_error",
    "read_annotation",
    "read_out_of_fold",
    "remove_trials",
    "require_group",
    "set_decision",
    "store_address",
    "why_read_only",
    "withdraw_annotator",
    "write_annotations",
    "write_imported",
    "write_out_of_fold",
]
