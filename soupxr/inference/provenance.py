"""How a trial's results came about, as the JSON that stands beside them.

A record has two parts, ``features`` and ``sequence``. Each holds an ``identity``, which decides
whether a result would come out the same today, and facts for people. A part that is null vouches
for nothing: features without it are not used, whatever is on disk.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from soupxr.inference.roles import Role, nearest
from soupxr.store.zarrs import DamagedStore

# Not at run time: who judges results needs no torch.
if TYPE_CHECKING:
    from soupxr.inference.plan import ModelFile, Plan
    from soupxr.inference.preprocess import Preprocessing

__all__ = ["REMEDY", "Record", "differences", "features_part", "sequence_part"]

Part = dict[str, Any] | None
UNREADABLE = "what the store says of how a result came about (provenance) is damaged"
REMEDY = "Run ds.soup.check(repair=True), which resets it, and infer again."
#: What records from before there was a choice leave out.
UNTOLD: Mapping[str, Any] = {"every": 1}


@dataclass(frozen=True)
class Record:
    """Provenance of one trial in one mode."""

    features: Part = None
    sequence: Part = None

    @classmethod
    def parse(cls, text: str) -> Record:
        """Read what the store holds; an empty text is an empty record.

        Raises
        ------
        DamagedStore
            If it is no record.
        """
        if not text:
            return cls()
        try:
            known = json.loads(text)
            record = cls(known.get("features"), known.get("sequence"))
        except (ValueError, AttributeError) as error:  # no JSON, or JSON of something else
            raise DamagedStore(f"{UNREADABLE} ({error}). {REMEDY}") from error
        if not (
            _is_part(record.features, "identity", "kept")
            and _is_part(record.sequence, "identity", "features")
        ):
            raise DamagedStore(f"{UNREADABLE}. {REMEDY}")
        return record

    def dump(self) -> str:
        """Text for the store."""
        return json.dumps({"features": self.features, "sequence": self.sequence})

    def dump_claim(self) -> str:
        """Text for the store while features are replaced: vouches for none, is like no other."""
        claim = {"features": None, "sequence": self.sequence, "claim": uuid4().hex}
        return json.dumps(claim)

    def vouches_for(self, wanted: Mapping[str, Any], keep: str) -> bool:
        """Whether stored features are those that would be made today.

        Parameters
        ----------
        wanted : mapping
            Identity that they should have.
        keep : {"float32", "float16", "none"}
            How they are to be kept; exact ones serve for all.
        """
        return (
            self.features is not None
            and self.features["kept"] in {keep, "float32"} - {"none"}
            and not differences(self.features["identity"], wanted)
        )


def _is_part(part: Any, *names: str) -> bool:
    """Whether this is a part of a record, or there is none."""
    return part is None or (isinstance(part, dict) and all(name in part for name in names))


def features_part(
    plan: Plan, video: Sequence[str], preprocessing: Preprocessing, device: str, role: Role
) -> dict[str, Any]:
    """Record how features were made.

    Parameters
    ----------
    video : sequence of str
        Fingerprint of each view.
    preprocessing : Preprocessing
        With the normalisation that was used, whether the checkpoint's or the trial's own.
    device : str
        Where the networks ran.
    role : str
        Part that the trial had in training the feature extractor.
    """
    return {
        "identity": plan.features_identity() | {"video": list(video)},
        "kept": plan.keep,
        "flow_model": _path(plan.flow) or "inside feature_model",
        "feature_model": _path(plan.feature),
        "normalization": {"mean": list(preprocessing.mean), "std": list(preprocessing.std)},
        "device": device,
        "role": role,
        **_circumstances(),
    }


def sequence_part(plan: Plan, features: Mapping[str, Any], role: Role) -> dict[str, Any]:
    """Record how an ethogram was made, and from which features.

    Parameters
    ----------
    features : mapping
        Record of the features.
    role : str
        Part that the trial had in training the sequence model.
    """
    return {
        "identity": plan.sequence_identity(),
        "features": features["identity"],
        "sequence_model": _path(plan.sequence),
        "role": nearest(features.get("role", "unknown"), role),
        **_circumstances(),
    }


def differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Names of what is wanted otherwise than it was found."""
    told = {**UNTOLD, **found}
    return [name for name, value in wanted.items() if told.get(name) != value]


def _path(file: ModelFile | None) -> str | None:
    return None if file is None else file.path


_version = cache(version)


def _circumstances() -> dict[str, str]:
    return {
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "soupxr": _version("soupxr"),
        "torch": _version("torch"),
    }
