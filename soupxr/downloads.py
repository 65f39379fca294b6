"""Default weights and sample data, fetched once into a cache folder.

What is published lies in Zenodo records. A record's REST page lists each file with its size,
its link and its checksum, so the checksum that a download is held against comes from the record
itself, over https, and is kept beside the file; none is written down here. What a lab without a
network copies into the cache by hand is used as well: checked where the record's page lies
beside it (``record.json``), with a warning where it does not.

A cache looks like this; whatever has its final name is complete::

    <cache>/zenodo.8225385/record.json              the record's page
    <cache>/zenodo.8225385/pretrained_models.zip    checked; can go once unpacked
    <cache>/zenodo.8225385/table/fast/*.pt          unpacked, one folder a mode
    <cache>/zenodo.8225385/sample_data/             unpacked
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any, TypeAlias

from soupxr.errors import DownloadError, SoupWarning, expected
from soupxr.modes import get_mode
from soupxr.options import get_option
from soupxr.progress import progress_bar

__all__ = [
    "PUBLISHED_WEIGHTS",
    "SAMPLE_DATA",
    "Archive",
    "NotFetched",
    "Weights",
    "cache_folder",
    "default_weights",
    "sample_data",
]

PathLike: TypeAlias = str | os.PathLike[str]
#: From the names of all members to {name: place in the target} of those to unpack.
Choice: TypeAlias = Callable[[list[str]], Mapping[str, str]]

TIMEOUT_S = 30
CHUNK_BYTES = 1 << 20
# Zenodo throttles the default agents of HTTP libraries.
HEADERS = {"User-Agent": "soupxr (+https://pypi.org/project/soupxr)"}
#: What a damaged or unusual zip file raises when it is read.
UNREADABLE_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


class NotFetched(DownloadError):
    """Something is not on this machine yet, and was not to be fetched."""


@dataclass(frozen=True)
class Archive:
    """A zip file in a Zenodo record.

    Parameters
    ----------
    name : str
        File name within the record, and in the cache.
    doi : str
        The record's DOI.
    record : str
        URL of the record's REST page.
    instead : str
        What the user can do without this file; ends error messages.
    """

    name: str
    doi: str
    record: str
    instead: str


@dataclass(frozen=True)
class Weights:
    """The three checkpoints of one mode.

    Parameters
    ----------
    flow_model, feature_model, sequence_model : Path
        Files, as ``infer`` takes them in ``flow_model_in`` and so on.
    source : str
        DOI of the record that they come from.
    experiment, mode : str
        What they were trained on, and for.
    """

    flow_model: Path
    feature_model: Path
    sequence_model: Path
    source: str
    experiment: str
    mode: str


@dataclass(frozen=True)
class RemoteFile:
    """A file as its record lists it: link, size in bytes, checksum as ``"md5:<digest>"``."""

    url: str
    size: int
    checksum: str


_DOI = "10.5281/zenodo.8225385"
_RECORD = "https://zenodo.org/api/records/8225385"
_OWN_WEIGHTS = "pass flow_model_in=, feature_model_in= and sequence_model_in=, or train a model"

#: Experiments with published weights, and the archive that holds them for all modes.
PUBLISHED_WEIGHTS: Mapping[str, Archive] = MappingProxyType(
    {"table": Archive("pretrained_models.zip", _DOI, _RECORD, _OWN_WEIGHTS)}
)
SAMPLE_DATA = Archive("sample_data.zip", _DOI, _RECORD, "work on videos of your own")


def cache_folder() -> Path:
    """Folder for downloads: ``$SOUPXR_CACHE``, else the system's cache folder for soupxr."""
    chosen = os.environ.get("SOUPXR_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("soupxr"))


def default_weights(
    experiment: str,
    mode: str,
    *,
    cache: PathLike | None = None,
    published: Mapping[str, Archive] = PUBLISHED_WEIGHTS,
    fetch: bool = True,
) -> Weights:
    """Published checkpoints of one experiment and mode, downloaded when first asked for.

    Parameters
    ----------
    experiment : str
        What the weights were trained on, e.g. ``"table"``.
    mode : {"fast", "medium", "slow"}
        Which networks.
    cache : path, optional
        Folder for downloads. Default: :func:`cache_folder`.
    published : mapping of str to Archive, optional
        Where each experiment's weights are published.
    fetch : bool
        False: only look whether they are there.

    Returns
    -------
    Weights
        Paths of the three checkpoints.

    Raises
    ------
    ArgumentError
        If there is no such mode.
    DownloadError
        If nothing is published for the experiment, or it can be neither fetched nor read.
    NotFetched
        If they would have to be fetched first, and shall not be.

    Notes
    -----
    The published reach-to-grab models are animal-soup's, doi:10.5281/zenodo.8225385; one archive
    holds all modes, so a second mode needs no second download.
    """
    networks = get_mode(mode)
    archive = published.get(experiment)
    if archive is None:
        wanted = f"an experiment with published weights ({', '.join(map(repr, published))})"
        remedy = f"For others {_OWN_WEIGHTS}."
        raise DownloadError(expected("experiment", wanted, experiment, remedy))
    members = (
        f"{experiment}/flow_generator/{networks.flow_generator}.pt",
        f"{experiment}/feature_extractor/hidden_two_stream_{mode}.pt",
        f"{experiment}/sequence_model/tgmj_{mode}.pt",
    )
    folder = _folder(archive, cache)
    target = folder / experiment / mode
    paths = [target / PurePosixPath(member).name for member in members]
    if not fetch and not all(path.exists() for path in paths):
        raise NotFetched(f"{archive.name}: is not in {folder} yet. Call infer, which fetches it.")
    _ensure(archive, folder, target, paths, lambda names: _pick(archive, members, names))
    flow, feature, sequence = paths
    return Weights(flow, feature, sequence, f"doi:{archive.doi}", experiment, mode)


def sample_data(*, cache: PathLike | None = None, archive: Archive = SAMPLE_DATA) -> Path:
    """Videos of a few trials to try soupxr on, downloaded when first asked for.

    Parameters
    ----------
    cache : path, optional
        Folder for downloads. Default: :func:`cache_folder`.
    archive : Archive, optional
        Where they are published.

    Returns
    -------
    Path
        Folder with one folder an animal, and in it one a session: a ``data_root``.

    Raises
    ------
    DownloadError
        If the data can be neither fetched nor read.

    Notes
    -----
    They are animal-soup's, doi:10.5281/zenodo.8225385, as packed there; only a folder around
    everything that is called like the archive is left away.
    """
    stem = PurePosixPath(archive.name).stem
    folder = _folder(archive, cache)
    target = folder / stem
    _ensure(archive, folder, target, [target], lambda names: {name: name for name in names})
    inner = target / stem
    return inner if inner.is_dir() else target


def _folder(archive: Archive, cache: PathLike | None) -> Path:
    root = cache_folder() if cache is None else Path(cache)
    return root / archive.doi.rpartition("/")[2]


def _ensure(
    archive: Archive, folder: Path, target: Path, paths: list[Path], choose: Choice
) -> None:
    """Fetch and unpack what is not there yet; one process does it, the others wait for it."""
    if all(path.exists() for path in paths):
        return
    from filelock import FileLock

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            if not all(path.exists() for path in paths):
                _unpack(archive, _fetched(archive, folder), target, choose)
    except OSError as error:
        raise DownloadError(
            f"{archive.name}: cannot be kept in {folder} ({error}). Make room there, or set the "
            "environment variable SOUPXR_CACHE to a folder that can be written."
        ) from error


def _fetched(archive: Archive, folder: Path) -> Path:
    """Path of the archive in the cache, checked against its record wherever that is possible."""
    path = folder / archive.name
    try:
        remote = _remote_file(archive, folder)
    except DownloadError as error:
        if not path.is_file():
            raise
        message = f"{path} is used unchecked, since its record cannot be read: {error}"
        warnings.warn(message, SoupWarning, stacklevel=4)
        return path
    if not (path.is_file() and _matches(path, remote.checksum)):
        _download(archive, remote.url, path, remote)
    return path


def _remote_file(archive: Archive, folder: Path) -> RemoteFile:
    """What the record says about the archive; its page is kept, so it is asked for once."""
    page = folder / "record.json"
    if not page.is_file():
        _download(archive, archive.record, page)
    try:
        files = {entry["key"]: entry for entry in json.loads(page.read_bytes())["files"]}
        entry = files.get(archive.name)
        if entry is not None:
            return RemoteFile(entry["links"]["self"], entry["size"], entry["checksum"].lower())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        page.unlink()
        raise DownloadError(
            f"{archive.record}: expected a Zenodo record as JSON, but got something else (a login "
            f"page of the network?). {_by_hand(archive, page.with_name(archive.name))}"
        ) from error
    raise DownloadError(
        f"{archive.record}: expected a file {archive.name} in the record, but it lists "
        f"{sorted(files)}. {_by_hand(archive, page.with_name(archive.name))}"
    )


def _download(archive: Archive, url: str, path: Path, remote: RemoteFile | None = None) -> None:
    """Bring one file to its place; whatever is there under its final name is complete."""
    import pooch
    from requests import exceptions

    partial = path.with_name(f"{path.name}.part")
    try:
        with _bar(path.name, remote) as bar:
            pooch.HTTPDownloader(
                progressbar=bar, chunk_size=CHUNK_BYTES, headers=HEADERS, timeout=TIMEOUT_S
            )(url, str(partial), None)
    except exceptions.RequestException as error:
        raise DownloadError(_failed(archive, url, path, error)) from error
    else:
        if remote is not None and not _matches(partial, remote.checksum):
            raise DownloadError(
                f"{url}: expected a file with checksum {remote.checksum}, but what came has "
                f"{_checksum(partial, remote.checksum)} ({partial.stat().st_size} of "
                f"{remote.size} bytes); it was thrown away. Call again; if it happens again, "
                f"something between here and there changes the file. {_by_hand(archive, path)}"
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _bar(name: str, remote: RemoteFile | None) -> Iterator[Any]:
    """Yield a bar in bytes, or False where there is nothing worth a bar."""
    if remote is None or not remote.size or not get_option("progress"):
        yield False
        return
    with progress_bar(remote.size, f"downloading {name}", "byte") as bar:
        bar.unit, bar.unit_scale = "B", True
        yield bar


def _checksum(path: Path, like: str) -> str:
    """Checksum of a file by the same algorithm as another checksum."""
    import pooch

    algorithm = like.partition(":")[0]
    return f"{algorithm}:{pooch.file_hash(str(path), alg=algorithm)}"


def _matches(path: Path, checksum: str) -> bool:
    return _checksum(path, checksum) == checksum


def _failed(archive: Archive, url: str, path: Path, error: Exception) -> str:
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError):
        what = f"the server refused ({error})"
    elif isinstance(error, exceptions.ChunkedEncodingError):
        what = f"the connection broke off ({error}); call again to start anew"
    else:
        what = f"no connection ({type(error).__name__})"
    place = path.with_name(archive.name)
    stale = f" {place} is there, but is not the published file." if place.is_file() else ""
    return f"{archive.name}: tried {url}: {what}.{stale} {_by_hand(archive, place)}"


def _by_hand(archive: Archive, path: Path) -> str:
    return (
        f"Without a network, copy {archive.name} of https://doi.org/{archive.doi} to {path}, and "
        f"to have it checked {archive.record} to {path.with_name('record.json')}; or "
        f"{archive.instead}."
    )


def _unpack(archive: Archive, path: Path, target: Path, choose: Choice) -> None:
    """Unpack the chosen members to a new folder that gets its name when all are there."""
    partial = target.with_name(f".{target.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with zipfile.ZipFile(path) as packed:
            names = [entry.filename for entry in packed.infolist() if not entry.is_dir()]
            _refuse_escapes(path, names)
            for name, place in choose(names).items():
                destination = partial / place
                destination.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(name) as source, destination.open("wb") as sink:
                    shutil.copyfileobj(source, sink, CHUNK_BYTES)
    except UNREADABLE_ZIP as error:
        raise DownloadError(
            f"{path}: expected a whole zip file, but it is damaged ({error}). Delete it and call "
            f"again. {_by_hand(archive, path)}"
        ) from error
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def _refuse_escapes(path: Path, names: list[str]) -> None:
    for name in names:
        place = PurePosixPath(name.replace("\\", "/"))
        if place.is_absolute() or ".." in place.parts or ":" in place.parts[0]:
            raise DownloadError(
                f"{path}: expected members that stay in their folder, but got {name!r}; nothing "
                "was unpacked. Do not trust this file: delete it and tell who gave it to you."
            )


def _pick(archive: Archive, members: tuple[str, ...], names: list[str]) -> Mapping[str, str]:
    """Find members by the end of their path, since some tools pack a folder around everything."""
    picked = {}
    for member in members:
        found = [name for name in names if f"/{name}".endswith(f"/{member}")]
        if len(found) != 1:
            raise DownloadError(
                f"{archive.name}: expected one member {member}, but it holds {sorted(names)}; "
                f"{archive.instead}."
            )
        picked[found[0]] = PurePosixPath(member).name
    return picked
