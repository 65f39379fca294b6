"""Stores on an object store: S3 and what speaks like it, Google Cloud, Azure.

Credentials, region and endpoint come from the environment, under the names that each provider's
own tools use (``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL`` …): they must not lie in the store, and
a cluster's workers have them of their own.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from soupxr.errors import StoreError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

__all__ = [
    "bucket",
    "claim",
    "is_object_store",
    "numbered_below",
    "telling_of_objects",
    "zarr_store",
]

SCHEMES = frozenset({"s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss"})


def is_object_store(address: str) -> bool:
    """Whether this names a place on an object store."""
    return urlparse(address).scheme in SCHEMES


@cache
def bucket(address: str) -> ObjectStore:
    """Connect to an object store, once a process; names are below ``address``.

    Raises
    ------
    StoreError
        If the URL or the environment is of no use.
    """
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    try:
        return from_url(address)
    except (BaseError, ValueError) as error:
        raise StoreError(
            f"{address}: expected a place on an object store, but it cannot be used "
            f"({_said(error)}). Check the URL, and the provider's variables in the environment."
        ) from None


def zarr_store(address: str) -> Any:
    """What Zarr opens: a store object for an object store, else the path or URL itself."""
    if not is_object_store(address):
        return address
    from zarr.storage import ObjectStore

    return ObjectStore(bucket(address))


def numbered_below(address: str, prefix: str) -> set[int]:
    """Numbers among the names right below a prefix: which chunks of an array were written."""
    import obstore

    listed = obstore.list_with_delimiter(bucket(address), prefix)
    paths = [entry["path"] for entry in listed["objects"]] + list(listed["common_prefixes"])
    names = (path.rstrip("/").rpartition("/")[2] for path in paths)
    return {int(name) for name in names if name.isdecimal()}


def claim(address: str) -> None:
    """Make an empty Zarr group where nothing is; of several that try, one succeeds.

    Raises
    ------
    FileExistsError
        If there is something, or somebody else was quicker.
    """
    import obstore
    from obstore.exceptions import AlreadyExistsError

    place, name = bucket(address), "zarr.json"
    listed = obstore.list_with_delimiter(place)
    if listed["objects"] or listed["common_prefixes"]:
        raise FileExistsError(address)
    attributes = {"claimed": uuid.uuid4().hex}
    group = {"zarr_format": 3, "node_type": "group", "attributes": attributes}
    ours = json.dumps(group).encode()
    try:
        obstore.put(place, name, ours, mode="create")
    except AlreadyExistsError:
        # A request that was repeated because its answer was lost finds what it wrote.
        if bytes(obstore.get(place, name).bytes()) != ours:
            raise FileExistsError(address) from None


@contextmanager
def telling_of_objects(what: str) -> Iterator[None]:
    """Turn what an object store says to a failed request into a StoreError.

    What is not there stays a FileNotFoundError.
    """
    from obstore.exceptions import BaseError

    try:
        yield
    except BaseError as error:
        raise StoreError(
            f"{what}: the object store does not answer as it should ({_said(error)}). "
            "Check the network, the credentials and your permission to write there."
        ) from error


def _said(error: Exception) -> str:
    """What an object store said, in one line, without how that looks to its library."""
    text = " ".join(str(error).partition("\n\nDebug source:")[0].split())
    answer = re.search(r"<Code>(.*?)</Code>.*?<Message>(.*?)</Message>", text)
    return text if answer is None else ": ".join(answer.groups())
