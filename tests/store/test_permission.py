"""Stores that can be read but not written."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from processes import somebody

import soupxr as sx
from soupxr.ingest import TrialRow
from soupxr.store import ReadOnly, add_trials, why_read_only, write_annotations

KEY = "M1/S1/0"
MASK = np.zeros((30, 6), np.int8)


def make_store(folder):
    (folder / "videos").mkdir()
    sx.create(folder / "reach.zarr", folder / "videos")
    rows = [TrialRow("M1", "S1", 0, ("a.mp4", "b.mp4"), len(MASK), 500.0)]
    add_trials(str(folder / "reach.zarr"), rows)
    return str(folder / "reach.zarr")


@pytest.fixture
def address(tmp_path):
    return make_store(tmp_path)


@pytest.fixture
def open_folder():
    """A folder that other users may enter; pytest's own are closed to them."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def open_to_all(address, mode=0o777):
    for path in (Path(address).parent, Path(address), *Path(address).rglob("*")):
        path.chmod(mode)
    lock = Path(address).with_name(".reach.zarr.lock")
    lock.chmod(0o666)
    return lock


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of another kind")
@pytest.mark.parametrize("shut", ["annotation", "annotator", "lock", "folder"])
def test_permissions_are_known_up_front(open_folder, shut):
    address = make_store(open_folder)
    lock = open_to_all(address)
    with somebody():
        assert why_read_only(address) is None
    if shut == "lock":
        lock.chmod(0o444)
    elif shut == "folder":
        lock.unlink()
        open_folder.chmod(0o555)
    else:
        Path(address, shut).chmod(0o555)
    with somebody():
        why = why_read_only(address)
    assert why.startswith(f"{address}: this store can be read but not written (")
    assert why.endswith("Ask for permission to write there, or work on a copy.")
    open_folder.chmod(0o755)


def test_nothing_is_said_of_urls_and_of_no_store(tmp_path):
    assert why_read_only("s3://bucket/reach.zarr") is None
    assert why_read_only(str(tmp_path / "none.zarr")) is None


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.EPERM])
@pytest.mark.parametrize("where", ["lock", "chunk"])
def test_a_writer_says_that_the_store_is_read_only(address, monkeypatch, code, where):
    def refused(*_, **__):
        raise OSError(code, os.strerror(code), "somewhere")

    if where == "lock":
        monkeypatch.setattr("filelock.FileLock.acquire", refused)
    else:
        monkeypatch.setattr("zarr.Array.__setitem__", refused)
    with pytest.raises(ReadOnly, match="can be read but not written") as caught:
        write_annotations(address, "Ana", {KEY: MASK})
    assert os.strerror(code) in str(caught.value)


def test_a_full_disk_is_not_read_only(address, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")

    monkeypatch.setattr("zarr.Array.__setitem__", full)
    with pytest.raises(sx.StoreError, match="No space left on device") as caught:
        write_annotations(address, "Ana", {KEY: MASK})
    assert not isinstance(caught.value, ReadOnly)


#: What is said of a store on a disk that is mounted for reading only.
READER = """
import numpy as np
from soupxr.store import ReadOnly, read_annotation, why_read_only, write_annotations

address = {address!r}
print(why_read_only(address))
print(read_annotation(address, "Ana", {key!r}).sum())
try:
    write_annotations(address, "Ana", {{ {key!r}: np.ones((30, 6), np.int8) }}, overwrite=True)
except ReadOnly as error:
    print(error)
"""


@pytest.mark.parametrize("locked_before", [True, False])
def test_a_disk_that_is_mounted_for_reading_only(address, locked_before):
    write_annotations(address, "Ana", {KEY: MASK})
    if not locked_before:
        Path(address).with_name(".reach.zarr.lock").unlink()
    folder = Path(address).parent
    mount = f'mount --bind "{folder}" "{folder}" && mount -o remount,bind,ro "{folder}"'
    enter = ["unshare", "--mount", "sh", "-ec", f'{mount}; exec "$@"', "sh"]
    possible = shutil.which("unshare") and subprocess.run(
        [*enter, "true"], check=False, capture_output=True
    )
    if not possible or possible.returncode:
        pytest.skip("this user may mount nothing")
    code = READER.format(address=address, key=KEY)
    reader = subprocess.run(
        [*enter, sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    up_front, labels, refused = reader.stdout.splitlines()
    assert up_front.startswith(f"{address}: this store can be read but not written (")
    assert labels == "0"
    assert refused.startswith(f"{address}: this store can be read but not written (")
    assert "Read-only file system" in refused
