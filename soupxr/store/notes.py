"""Small texts in a store that processes leave for each other; no arrays, but in a Zarr group."""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock

from soupxr.errors import StoreError
from soupxr.store.objects import bucket, is_object_store, telling_of_objects
from soupxr.store.zarrs import unwritable

__all__ = ["Notes", "notes_of"]

GROUP = "leases"
LOCK = ".lock"
#: Zarr warns whoever lists a store of what is neither a group nor an array.
METADATA = "zarr.json"
AS_GROUP = json.dumps({"zarr_format": 3, "node_type": "group", "attributes": {}})


class Notes(Protocol):
    """Texts by name; of several processes that want the same change, one makes it."""

    def names(self) -> frozenset[str]:
        """Names of all texts, and perhaps of what else lies beside them."""

    def create(self, name: str, text: str) -> bool:
        """Write a text; False where there is one of this name."""

    def read(self, name: str) -> str | None:
        """A text; None where there is none."""

    def replace(self, name: str, old: str, new: str) -> bool:
        """Write ``new`` in place of ``old``; False where there is another text or none."""

    def remove(self, name: str, old: str) -> None:
        """Remove a text, if it is this one."""


def notes_of(address: str) -> Notes:
    """Texts of a store.

    Raises
    ------
    StoreError
        If the store is of a kind in which none can be written.
    """
    if is_object_store(address):
        return _objects_of(address)
    if "://" in address:
        raise StoreError(
            f"{address}: expected a path, or a URL that begins with s3://, gs:// or az://; "
            "work on stores elsewhere cannot be divided among processes."
        )
    return _Files(Path(address, GROUP))


class _Files:
    """In a folder of the store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> frozenset[str]:
        try:
            return frozenset(os.listdir(self._folder))
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise StoreError(f"{self._folder}: cannot be listed ({error}).") from error

    def create(self, name: str, text: str) -> bool:
        if self._path(name).exists():
            return False
        new = self._new(text)
        try:
            os.link(new, self._path(name))
        except FileExistsError:
            return False
        except OSError:
            return self._create_without_links(name, text)
        finally:
            new.unlink(missing_ok=True)
        return True

    def read(self, name: str) -> str | None:
        try:
            return self._path(name).read_text("utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise unwritable(str(self._folder), error) from error

    def replace(self, name: str, old: str, new: str) -> bool:
        with self._locked():
            if self.read(name) != old:
                return False
            fresh = self._new(new)
            try:
                os.replace(fresh, self._path(name))
            except OSError as error:
                fresh.unlink(missing_ok=True)
                raise unwritable(str(self._folder), error) from error
        return True

    def remove(self, name: str, old: str) -> None:
        if self.read(name) == old:
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._folder / name

    def _new(self, text: str) -> Path:
        """A file of its own with a text, which a link or a move then gives its name."""
        path = self._folder / f".{uuid.uuid4().hex}"
        try:
            try:
                path.write_text(text, "utf-8")
            except FileNotFoundError:
                self._make_group()
                path.write_text(text, "utf-8")
        except OSError as error:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise unwritable(str(self._folder), error) from error
        return path

    def _make_group(self) -> None:
        """Make the folder, but not the store: that may have been moved away meanwhile."""
        self._folder.mkdir(exist_ok=True)
        new = self._folder / f".{uuid.uuid4().hex}"
        new.write_text(AS_GROUP, "utf-8")
        os.replace(new, self._folder / METADATA)

    def _create_without_links(self, name: str, text: str) -> bool:
        """On file systems that know no links; others may see the text half written."""
        try:
            with self._path(name).open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            return False
        except OSError as error:
            raise unwritable(str(self._folder), error) from error
        return True

    def _locked(self) -> FileLock:
        return FileLock(self._folder / LOCK, mode=0o666)


@cache
def _objects_of(address: str) -> _Objects:
    return _Objects(f"{address.rstrip('/')}/{GROUP}")


class _Objects:
    """On an object store, by conditional requests."""

    def __init__(self, address: str) -> None:
        self._bucket = bucket(address)
        self._put(METADATA, AS_GROUP, "create")

    def names(self) -> frozenset[str]:
        with telling_of_objects(GROUP):
            found = self._bucket.list_with_delimiter()["objects"]
        return frozenset(str(one["path"]) for one in found)

    def create(self, name: str, text: str) -> bool:
        return self._put(name, text, "create")

    def read(self, name: str) -> str | None:
        return self._get(name)[0]

    def replace(self, name: str, old: str, new: str) -> bool:
        text, tag = self._get(name)
        return text == old and self._put(name, new, {"e_tag": tag})

    def remove(self, name: str, old: str) -> None:
        import obstore

        if self.read(name) == old:
            with telling_of_objects(name):
                obstore.delete(self._bucket, name)

    def _put(self, name: str, text: str, mode: Any) -> bool:
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        with telling_of_objects(name):
            try:
                obstore.put(self._bucket, name, text.encode(), mode=mode)
            except (AlreadyExistsError, PreconditionError):
                # A request that was repeated because its answer was lost finds what it wrote.
                return self.read(name) == text
            return True

    def _get(self, name: str) -> tuple[str | None, str | None]:
        import obstore

        with telling_of_objects(name):
            try:
                found = obstore.get(self._bucket, name)
                return bytes(found.bytes()).decode(errors="replace"), found.meta["e_tag"]
            except FileNotFoundError:
                return None, None
