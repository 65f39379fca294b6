"""Dataframes of animal-soup, row by row."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

import numpy as np
import numpy.typing as npt

from soupxr.dataset import data_root
from soupxr.errors import FormatError
from soupxr.io.arrays import Misfit, digest, ethogram_of, fitted, spread
from soupxr.io.gather import Address, Gathering, NewTrial
from soupxr.io.hdf5 import array, open_file
from soupxr.io.pandas_hdf import read_columns
from soupxr.modes import MODES
from soupxr.store import ImportedResult, StoredTrial

__all__ = ["Wanted", "take"]

NEEDED = ("animal_id", "session_id", "trial_id", "vid_paths")
KNOWN = frozenset(
    [*NEEDED, "output_path", "exp_type", "model_params", "notes", "ethograms", "cleaned_ethograms"]
)
OUTPUTS = "outputs.h5"

Mask = npt.NDArray[np.int8]


@dataclass(frozen=True)
class Wanted:
    """What the user of ``read`` wants."""

    annotator: str
    names: tuple[str, ...]
    results: bool


@dataclass(frozen=True)
class _Row:
    """One row of the dataframe."""

    where: str
    values: Mapping[str, Any]

    def text(self, name: str) -> str:
        value = self.values.get(name)
        if value is None or (isinstance(value, float) and np.isnan(value)):
            return ""
        if isinstance(value, (str, int, float, np.generic)):
            return str(value).strip()
        # Written out, a container of containers may have no end.
        return f"<{type(value).__name__}>"

    def array(self, name: str) -> npt.NDArray[Any] | None:
        value = self.values.get(name)
        return value if isinstance(value, np.ndarray) and value.ndim == 2 else None


def take(path: Path, key: str, gathering: Gathering, wanted: Wanted) -> None:
    """Put a dataframe into a gathering."""
    columns = read_columns(path, key)
    lacking = [name for name in NEEDED if name not in columns]
    if lacking:
        raise FormatError(
            f"{path}: expected the columns {', '.join(NEEDED)}, but {', '.join(lacking)} "
            f"{'is' if len(lacking) == 1 else 'are'} not among {list(columns)}."
        )
    rows = [
        _Row(f"{path.name}, row {n}", dict(zip(columns, values, strict=True)))
        for n, values in enumerate(zip(*columns.values(), strict=True))
    ]
    files = _Files(path, gathering)
    addresses = _addressed(rows, gathering)
    facts = gathering.add_trials(
        {address: _new_trial(row, address, files, gathering) for address, row in addresses.items()}
    )
    for address, row in addresses.items():
        if address in facts:
            _Trial(row, facts[address], address, gathering, wanted).take(files)
    for name in columns:
        if name not in KNOWN:
            gathering.leave(f"column {name!r}")
    if "model_params" in columns:
        gathering.leave("model_params; soupxr keeps what made a result with the result")


def _addressed(rows: Sequence[_Row], gathering: Gathering) -> dict[Address, _Row]:
    found: dict[Address, _Row] = {}
    for row in rows:
        animal, session = row.text("animal_id"), row.text("session_id")
        digits = re.findall(r"\d+", row.text("trial_id"))
        if not animal or not session or not digits:
            told = {name: row.text(name) for name in NEEDED[:3]}
            gathering.problems.append(
                f"{row.where}: expected an animal, a session and a number as trial, got {told}."
            )
            continue
        address = (animal, session, int(digits[-1]))
        if address in found:
            gathering.problems.append(
                f"{row.where}: {'/'.join(map(str, address))} is there already, in "
                f"{found[address].where}."
            )
        found[address] = row
    return found


# ------------------------------------------------------------------ files


class _Files:
    """Finds files that a dataframe names, which may have been moved since."""

    def __init__(self, dataframe: Path, gathering: Gathering) -> None:
        self.root = data_root(gathering.store)
        self.beside = dataframe.resolve().parent

    def video(self, named: str, address: Address) -> Path | None:
        """A video; None where it is nowhere."""
        return self._first(self._places(named, address))

    def outputs(self, named: str, address: Address) -> Path | None:
        """The file with a session's results; None where there is none."""
        places = [
            place if place.suffix in (".h5", ".hdf5", ".hdf") else place / OUTPUTS
            for place in self._places(named, address)
            if named
        ]
        places += [base / address[0] / address[1] / OUTPUTS for base in (self.root, self.beside)]
        return self._first(places)

    def _places(self, named: str, address: Address) -> list[Path]:
        pure = PureWindowsPath(named)
        parts = [part for part in pure.parts if part != pure.anchor]
        places = [Path(named)] if Path(named).is_absolute() else []
        for base in (self.root, self.beside):
            places += [base.joinpath(*parts), base / address[0] / address[1] / pure.name]
        # Of a path from another machine, the end may still be right.
        places += [self.root.joinpath(*parts[n:]) for n in range(1, len(parts))]
        return places

    @staticmethod
    def _first(places: Sequence[Path]) -> Path | None:
        # Unlike a Path, it has no error for what can be no name of a file.
        return next((place for place in places if os.path.isfile(place)), None)


def _new_trial(row: _Row, address: Address, files: _Files, gathering: Gathering) -> NewTrial:
    named = row.values["vid_paths"]
    videos: dict[str, Path] = {}
    if not isinstance(named, dict):
        gathering.problems.append(
            f"{row.where}: vid_paths: expected {{'front': …, 'side': …}}, but got a "
            f"{type(named).__name__}."
        )
        named = {}
    for view in gathering.store.labels("view"):
        said = named.get(view)
        if not isinstance(said, str):
            gathering.problems.append(f"{row.where}: vid_paths names no {view} video.")
            continue
        found = files.video(said, address)
        if found is None:
            gathering.problems.append(
                f"{row.where}: the {view} video {said} is neither there nor under data_root, "
                f"{files.root}."
            )
        else:
            videos[view] = found
    for view in sorted(set(map(str, named)) - set(gathering.store.labels("view"))):
        gathering.leave(f"videos of the view {view!r}, which the store does not have")
    return NewTrial("/".join(map(str, address)), videos, row.text("exp_type"), row.text("notes"))


# ------------------------------------------------------------------ labels and results


class _Trial:
    """Labels and results of one row."""

    def __init__(
        self,
        row: _Row,
        trial: StoredTrial,
        address: Address,
        gathering: Gathering,
        wanted: Wanted,
    ) -> None:
        self.row, self.trial, self.address = row, trial, address
        self.gathering, self.wanted = gathering, wanted

    def take(self, files: _Files) -> None:
        """Put all of it into the gathering."""
        cleaned = self.row.array("cleaned_ethograms")
        where = f"{self.row.where}, cleaned_ethograms"
        path = files.outputs(self.row.text("output_path"), self.address)
        if path is not None:
            try:
                cleaned, where = self._outputs(path, cleaned, where)
            except (FormatError, Misfit) as error:
                self.gathering.problems.append(f"{path}: {str(error).removeprefix(f'{path}: ')}")
        if cleaned is not None:
            mask = self._mask(cleaned, where)
            if mask is not None:
                self.gathering.label(self.wanted.annotator, self.trial.key, mask, where)
        if self.row.array("ethograms") is not None:
            self.gathering.leave(
                "the column ethograms, which does not say of which mode; outputs.h5 does"
            )

    def _outputs(
        self, path: Path, cleaned: npt.NDArray[Any] | None, where: str
    ) -> tuple[npt.NDArray[Any] | None, str]:
        """Take results; return the cleaned ethogram that counts, and where it stands."""
        number = str(self.address[2])
        with open_file(path) as file:
            names = [n for n in (self.row.text("trial_id"), number) if n in file]
            if not names:
                self.gathering.leave(f"results of {self.trial.key}: {path.name} has none")
                return cleaned, where
            group = file[names[0]]
            if self.wanted.results:
                for mode in MODES:
                    if mode in group:
                        self._result(path, group, mode)
            if "cleaned_ethogram" not in group:
                return cleaned, where
            own = array(group["cleaned_ethogram"])
        if cleaned is not None and not np.array_equal(cleaned, own):
            self.gathering.note(
                f"{self.trial.key}: its cleaned ethogram is another in {path.name} than in the "
                "dataframe; the former counts"
            )
        return own, f"{path.name}, {names[0]}/cleaned_ethogram"

    def _result(self, path: Path, group: Any, mode: str) -> None:
        entry = group[mode]
        if "features" in entry:
            self.gathering.leave("features and logits in output files; soupxr makes its own")
        if "ethogram" not in entry:
            self.gathering.leave(f"mode {mode} of {self.trial.key}: there is no ethogram yet")
            return
        where = f"{path.name}, {group.name.strip('/')}/{mode}"
        ethogram = self._mask(array(entry["ethogram"]), f"{where}/ethogram")
        if ethogram is None:
            return
        probability = np.full(ethogram.shape, np.nan, np.float32)
        if "sequence" in entry and "probabilities" in entry["sequence"]:
            values = array(entry["sequence/probabilities"]).astype(np.float32)
            if values.shape[1:] != (1 + len(self.wanted.names),):
                self.gathering.problems.append(
                    f"{where}/sequence/probabilities: expected (frame, "
                    f"{1 + len(self.wanted.names)}), but got {values.shape}."
                )
                return
            probability = self._placed(values[:, 1:], np.nan, where)
        origin = {
            "format": "animal-soup",
            "file": path.name,
            "sha256": digest(path),
            "group": f"{group.name.strip('/')}/{mode}",
        }
        self.gathering.result(mode, self.trial.key, ImportedResult(probability, ethogram, origin))

    def _mask(self, ethogram: npt.NDArray[Any], where: str) -> Mask | None:
        """A mask (frame, behavior) of an ethogram (behavior, frame)."""
        try:
            if ethogram.ndim != 2 or len(ethogram) != len(self.wanted.names):
                raise Misfit(
                    f"expected ({len(self.wanted.names)}, frames), but got {ethogram.shape}. "
                    "Say what its rows mean: names=..."
                )
            notes: list[str] = []
            labels = fitted(ethogram_of(ethogram.T), self.trial.n_frames, -1, notes)
        except Misfit as error:
            self.gathering.problems.append(f"{where}: {error}")
            return None
        for note in notes:
            self.gathering.note(f"{where}: {note}")
        return self._placed(labels, -1, where).astype(np.int8)

    def _placed(self, values: npt.NDArray[Any], fill: float, where: str) -> npt.NDArray[Any]:
        """Their columns in the places of ours, as long as the trial."""
        columns = dict(self._columns(where))
        try:
            whole = fitted(values, self.trial.n_frames, fill, [])
        except Misfit as error:
            self.gathering.problems.append(f"{where}: {error}")
            whole = np.full((self.trial.n_frames, values.shape[1]), fill, values.dtype)
        return spread(whole, columns, len(self.gathering.behaviors), fill)

    def _columns(self, where: str) -> Iterator[tuple[int, int]]:
        for place, name in enumerate(self.wanted.names):
            ours = self.gathering.behavior(name, where)
            if ours is not None:
                yield place, self.gathering.behaviors.index(ours)
