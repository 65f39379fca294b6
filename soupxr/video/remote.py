"""Videos behind a URL: fetched when they are needed, into a folder that does not grow for ever.

ffmpeg reads files; of a video on an object store or a server it gets a copy. Copies are named by
what they are copies of, its size and version included, so that a replaced video is fetched anew.
When the folder has grown too large, those go that have not been used for longest. A copy that a
process is at work on stays: it holds the file open, under a lock that ends with it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import threading
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

from soupxr.errors import SoupError, SoupWarning, VideoError
from soupxr.options import get_option

__all__ = ["as_root", "is_remote", "local_copy", "telling_of_remote"]

#: Copies that a process keeps from being thrown away: those that it asked for last.
KEPT = 32
#: Of an error of a file system, so much is told.
MOST_TOLD = 300
#: Schemes that obstore speaks, where nothing else is installed for them.
OF_OBSTORE = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}

#: A folder with videos, on this machine or behind a URL: both have the methods of Path.
Root = Path


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether this names something that is not a file of this machine."""
    return "://" in str(path)


def as_root(path: str | os.PathLike[str]) -> Root:
    """A folder with videos.

    Parameters
    ----------
    path : path or URL
        Such as ``"/data/videos"``, ``"s3://bucket/videos"``, ``"sftp://server/videos"``.

    Raises
    ------
    VideoError
        If nothing is installed that speaks the URL's language.
    """
    if not is_remote(path):
        return Path(path)
    scheme = str(path).split("://", 1)[0]
    package = OF_OBSTORE.get(scheme)
    if package is not None and importlib.util.find_spec(package) is None:
        from obstore.fsspec import register

        register(scheme)
    from upath import UPath

    try:
        root: Any = UPath(str(path))
        _ = root.fs
    except (ImportError, ValueError) as error:
        raise VideoError(
            f"{path}: expected a folder, or a URL that can be read here, but this one can't "
            f"({error}). Install what it names, or copy the videos to a disk."
        ) from None
    else:
        return root  # type: ignore[no-any-return]


@contextmanager
def telling_of_remote(path: Root) -> Iterator[None]:
    """Turn whatever goes wrong behind a URL into a VideoError; what is not there stays that.

    Of a folder of this machine, nothing is turned.
    """
    try:
        yield
    except (SoupError, FileNotFoundError):
        raise
    except Exception as error:  # each kind of file system has errors of its own
        if not is_remote(path):
            raise
        why = f"{type(error).__name__}: {error}".partition("\n")[0][:MOST_TOLD]
        raise VideoError(
            f"{path}: cannot be read ({why}). Check the URL, the network, the credentials, and the "
            "free space of the folder that the option video_cache names."
        ) from error


def local_copy(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Where a video lies on this machine; one behind a URL is fetched first.

    Raises
    ------
    VideoError
        If it is not there, or cannot be fetched.
    """
    if not is_remote(path):
        return path
    remote = as_root(path)
    try:
        with telling_of_remote(remote):
            return _CACHE.copy_of(remote)
    except FileNotFoundError:
        raise VideoError(f"{path}: expected a video, but there is none.") from None


class _Cache:
    """The copies on this machine; several processes share them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: OrderedDict[Path, int] = OrderedDict()

    def copy_of(self, remote: Any) -> Path:
        """Fetch a video, unless it is here."""
        info = remote.fs.info(remote.path)
        version = info.get("e_tag") or info.get("ETag") or info.get("mtime") or info.get("created")
        named = f"{remote} {info['size']} {version}"
        folder = _folder()
        copy: Path = folder / (hashlib.sha256(named.encode()).hexdigest()[:32] + remote.suffix)
        with FileLock(copy.with_suffix(".lock")):
            if not copy.exists():
                _make_room(folder, int(info["size"]))
                _fetch(remote, copy, int(info["size"]))
            os.utime(copy)
            self._keep(copy)
        return copy

    def _keep(self, copy: Path) -> None:
        """Hold a copy, and let go of the one that was asked for longest ago."""
        with self._lock:
            if copy in self._open:
                self._open.move_to_end(copy)
                return
            file = os.open(copy, os.O_RDONLY)
            _mark_used(file)
            self._open[copy] = file
            while len(self._open) > KEPT:
                os.close(self._open.popitem(last=False)[1])


_CACHE = _Cache()


def _folder() -> Path:
    given = get_option("video_cache")
    if given is None:
        import pooch

        given = Path(pooch.os_cache("soupxr")) / "videos"
    folder = Path(given).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _fetch(remote: Any, copy: Path, size: int) -> None:
    """Copy under another name first: a copy that has its name is whole."""
    part = copy.with_name(f".{uuid.uuid4().hex}.part")
    try:
        remote.fs.get_file(remote.path, str(part))
        if part.stat().st_size != size:
            raise OSError(f"{part.stat().st_size} of {size} bytes came")
        os.replace(part, copy)
    finally:
        part.unlink(missing_ok=True)


def _make_room(folder: Path, size: int) -> None:
    """Throw away what has not been used for longest, until a new copy fits."""
    limit = int(get_option("video_cache_size"))
    copies = sorted(_copies(folder), key=lambda found: found[0])
    total = size + sum(n_bytes for _, n_bytes, _ in copies)
    for _, n_bytes, copy in copies:
        if total <= limit:
            return
        if _throw_away(copy):
            total -= n_bytes
    if total > limit:
        warnings.warn(
            f"{folder}: the videos that are worked on at this moment are larger than the option "
            f"video_cache_size ({limit:,} bytes) allows; {total:,} bytes are used.",
            SoupWarning,
            stacklevel=2,
        )


def _copies(folder: Path) -> list[tuple[int, int, Path]]:
    """When each copy was last used, its size, and where it is."""
    found = []
    for path in folder.iterdir():
        if path.suffix in (".lock", ".part"):
            continue
        with suppress(FileNotFoundError):  # another process was faster
            about = path.stat()
            found.append((about.st_mtime_ns, about.st_size, path))
    return found


def _throw_away(copy: Path) -> bool:
    """Delete a copy that nobody is at work on."""
    try:
        with copy.open("rb") as file:
            if not _may_delete(file.fileno()):
                return False
        copy.unlink()
    except FileNotFoundError:
        return True
    except PermissionError:  # on Windows, a file that is open somewhere
        return False
    return True


try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be deleted anyway

    def _mark_used(file: int) -> None:
        pass

    def _may_delete(file: int) -> bool:
        return True

else:

    def _mark_used(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_SH)

    def _may_delete(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
