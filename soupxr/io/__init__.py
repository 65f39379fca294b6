"""Files of others in, and files for others out: one module a format.

Each has ``read(ds, file, …)``, which returns the Dataset and an :class:`ImportReport` of what was
taken and what was left, or ``write(ds, file, …)``, or both. A read is all or nothing: whatever is
wrong is told at once, with the file and the row, and the store stays as it was.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soupxr.io import animal_soup, boris, deepethogram, film, jaaba, nwb, tables
    from soupxr.io.report import ImportReport

FORMATS = ("animal_soup", "boris", "deepethogram", "film", "jaaba", "nwb", "tables")

__all__ = [
    "ImportReport",
    "animal_soup",
    "boris",
    "deepethogram",
    "film",
    "jaaba",
    "nwb",
    "tables",
]


def __getattr__(name: str) -> ModuleType | type:
    # Imported when asked for: most need a library that nothing else does.
    if name in FORMATS:
        return import_module(f"soupxr.io.{name}")
    if name == "ImportReport":
        from soupxr.io.report import ImportReport

        return ImportReport
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
