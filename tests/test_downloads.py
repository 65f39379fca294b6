"""The real loading code against a small web server on this machine."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from processes import PROCESSES

from soupxr import downloads
from soupxr.downloads import (
    PUBLISHED_WEIGHTS,
    SAMPLE_DATA,
    Archive,
    NotFetched,
    Weights,
    cache_folder,
    default_weights,
    sample_data,
)
from soupxr.errors import ArgumentError, DownloadError, SoupWarning
from soupxr.modes import MODES
from soupxr.options import set_options

RECORD = "/api/records/8225385"
WEIGHTS = "pretrained_models.zip"
SAMPLE = "sample_data.zip"


class Server:
    """Serves ``pages``; notes every request; can cut a body short."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.cut: dict[str, int] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                body = outer.pages.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: outer.cut.get(self.path)])

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def publish(self, **files: bytes) -> None:
        """Put files (``name__zip``) in the record."""
        entries = []
        for key, body in files.items():
            name = key.replace("__", ".")
            self.pages[f"/files/{name}"] = body
            entries.append(
                {
                    "key": name,
                    "size": len(body),
                    "checksum": f"md5:{hashlib.md5(body).hexdigest()}",
                    "links": {"self": f"{self.url}/files/{name}"},
                }
            )
        self.pages[RECORD] = json.dumps({"id": 8225385, "files": entries}).encode()

    def archive(self, name: str) -> Archive:
        doi = "10.5281/zenodo.8225385"
        return Archive(name, doi, self.url + RECORD, "pass flow_model_in= or train")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with set_options(progress=False):
        yield


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, body in members.items():
            packed.writestr(name, body)
    return out.getvalue()


def models(prefix: str = "") -> dict[str, bytes]:
    """Stand-ins for the published checkpoints: each holds its own name."""
    names = ["misc/resnet34_3d.pth"]
    for mode in MODES.values():
        names += [
            f"table/flow_generator/{mode.flow_generator}.pt",
            f"table/feature_extractor/hidden_two_stream_{mode.name}.pt",
            f"table/sequence_model/tgmj_{mode.name}.pt",
        ]
    return {prefix + name: name.encode() * 50 for name in names}


@pytest.fixture
def fetch(server: Server, tmp_path: Path) -> Callable[..., Weights]:
    """``default_weights`` from the server into ``tmp_path``."""
    server.publish(pretrained_models__zip=zipped(models()))

    def call(mode: str = "fast", experiment: str = "table", **options: bool) -> Weights:
        published = {"table": server.archive(WEIGHTS)}
        return default_weights(experiment, mode, cache=tmp_path, published=published, **options)

    return call


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.part"))


# ---------------------------------------------------------------- what works
@pytest.mark.parametrize("mode", MODES)
def test_weights_of_every_mode(fetch: Callable[..., Weights], mode: str) -> None:
    weights = fetch(mode)
    paths = (weights.flow_model, weights.feature_model, weights.sequence_model)
    members = (
        f"table/flow_generator/{MODES[mode].flow_generator}.pt",
        f"table/feature_extractor/hidden_two_stream_{mode}.pt",
        f"table/sequence_model/tgmj_{mode}.pt",
    )
    for path, member in zip(paths, members, strict=True):
        assert path.name == Path(member).name
        assert path.read_text() == member * 50
    assert weights.source == "doi:10.5281/zenodo.8225385"
    assert (weights.experiment, weights.mode) == ("table", mode)


def test_only_the_members_of_the_mode_are_unpacked(
    fetch: Callable[..., Weights], tmp_path: Path
) -> None:
    fetch("slow")
    unpacked = sorted(path.name for path in tmp_path.rglob("*.pt*"))
    assert unpacked == ["TinyMotionNet3D.pt", "hidden_two_stream_slow.pt", "tgmj_slow.pt"]
    assert leftovers(tmp_path) == []


def test_second_call_asks_nobody(fetch: Callable[..., Weights], server: Server) -> None:
    first = fetch()
    assert server.asked == [RECORD, f"/files/{WEIGHTS}"]
    assert fetch() == first
    fetch("medium")
    assert server.asked == [RECORD, f"/files/{WEIGHTS}"]


def test_a_folder_around_the_members_does_not_matter(
    fetch: Callable[..., Weights], server: Server
) -> None:
    server.publish(pretrained_models__zip=zipped(models("pretrained_models/")))
    assert fetch().sequence_model.read_text().startswith("table/sequence_model")


def test_processes_and_threads_share_one_download(
    fetch: Callable[..., Weights], server: Server
) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = set(pool.map(fetch, ["fast", "fast", "medium", "medium"]))
    assert len(results) == 2
    assert server.asked.count(f"/files/{WEIGHTS}") == 1


def test_who_waited_leaves_what_is_there_alone(
    fetch: Callable[..., Weights], monkeypatch: pytest.MonkeyPatch
) -> None:
    unpacked: list[str] = []
    unpack = downloads._unpack

    def count(archive: Archive, path: Path, target: Path, choose: downloads.Choice) -> None:
        unpacked.append(target.name)
        time.sleep(0.2)
        unpack(archive, path, target, choose)

    monkeypatch.setattr(downloads, "_unpack", count)
    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(fetch, ["slow"] * 3))) == 1
    assert unpacked == ["slow"]


#: Seconds; the first process of all takes some to start.
PATIENCE = 120


def _hold(cache: str, held: object, released: object) -> None:
    from filelock import FileLock

    with FileLock(Path(cache) / "zenodo.8225385" / ".lock"):
        held.set()  # type: ignore[attr-defined]
        released.wait(PATIENCE)  # type: ignore[attr-defined]


def test_waits_for_another_process(fetch: Callable[..., Weights], tmp_path: Path) -> None:
    (tmp_path / "zenodo.8225385").mkdir()
    held, released = PROCESSES.Event(), PROCESSES.Event()
    other = PROCESSES.Process(target=_hold, args=(str(tmp_path), held, released))
    other.start()
    assert held.wait(PATIENCE)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(fetch)
        assert not waiting.done()
        assert leftovers(tmp_path) == []
        released.set()
        assert waiting.result(PATIENCE).mode == "fast"
    other.join()


def test_shows_progress_where_asked(
    fetch: Callable[..., Weights], capsys: pytest.CaptureFixture[str]
) -> None:
    fetch()
    assert capsys.readouterr() == ("", "")


def test_progress_bar_counts_bytes(
    fetch: Callable[..., Weights], capsys: pytest.CaptureFixture[str]
) -> None:
    with set_options(progress=True):
        fetch()
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(rf"downloading {WEIGHTS}: 100%.*[kK]?B/s", err)


def test_sample_data(server: Server, tmp_path: Path) -> None:
    server.publish(sample_data__zip=zipped({"M1/S1/side_trial_1.mp4": b"video"}))
    archive = server.archive(SAMPLE)
    folder = sample_data(cache=tmp_path, archive=archive)
    assert folder == sample_data(cache=tmp_path, archive=archive)
    assert (folder / "M1" / "S1" / "side_trial_1.mp4").read_bytes() == b"video"
    assert server.asked == [RECORD, f"/files/{SAMPLE}"]


def test_sample_data_leaves_away_a_folder_of_its_own_name(server: Server, tmp_path: Path) -> None:
    server.publish(sample_data__zip=zipped({"sample_data/M1/S1/v.mp4": b"video"}))
    folder = sample_data(cache=tmp_path, archive=server.archive(SAMPLE))
    assert [path.name for path in folder.iterdir()] == ["M1"]


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOUPXR_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("SOUPXR_CACHE")
    assert "soupxr" in str(cache_folder())


def test_environment_variable_is_obeyed(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.publish(pretrained_models__zip=zipped(models()))
    monkeypatch.setenv("SOUPXR_CACHE", str(tmp_path / "elsewhere"))
    weights = default_weights("table", "fast", published={"table": server.archive(WEIGHTS)})
    assert (tmp_path / "elsewhere") in weights.flow_model.parents


def test_what_is_only_looked_for_is_not_fetched(fetch: Callable[..., Weights]) -> None:
    with pytest.raises(NotFetched, match=r"pretrained_models\.zip: is not in"):
        fetch(fetch=False)
    assert fetch() == fetch(fetch=False)


# ---------------------------------------------------------------- what does not exist
@pytest.mark.parametrize("experiment", ["pez", "our own task", ""])
def test_experiment_without_weights(experiment: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        default_weights(experiment, "fast", cache=tmp_path)
    for part in ("'table'", repr(experiment), "flow_model_in=", "sequence_model_in=", "train"):
        assert part in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_unknown_mode(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="mode: expected one of 'fast'"):
        default_weights("table", "quick", cache=tmp_path)


def test_the_published_places_are_the_zenodo_record() -> None:
    for archive in (*PUBLISHED_WEIGHTS.values(), SAMPLE_DATA):
        assert archive.record == "https://zenodo.org/api/records/8225385"
        assert archive.doi == "10.5281/zenodo.8225385"
    with pytest.raises(TypeError):
        PUBLISHED_WEIGHTS["pez"] = SAMPLE_DATA  # type: ignore[index]


def test_record_without_the_file(server: Server, tmp_path: Path) -> None:
    server.publish(other__zip=b"")
    with pytest.raises(DownloadError, match=r"sample_data\.zip in the record.*'other\.zip'"):
        sample_data(cache=tmp_path, archive=server.archive(SAMPLE))


def test_archive_without_a_member(fetch: Callable[..., Weights], server: Server) -> None:
    server.publish(pretrained_models__zip=zipped({"read.me": b""}))
    with pytest.raises(DownloadError, match=r"one member table/flow.*'read\.me'.*pass flow_model"):
        fetch()


# ---------------------------------------------------------------- what goes wrong on the way
def test_wrong_checksum(fetch: Callable[..., Weights], server: Server, tmp_path: Path) -> None:
    good = server.pages[f"/files/{WEIGHTS}"]
    server.pages[f"/files/{WEIGHTS}"] = good[:-1] + b"?"
    with pytest.raises(DownloadError, match=r"expected a file with checksum md5:\w{32}, but what"):
        fetch()
    assert not (tmp_path / "zenodo.8225385" / WEIGHTS).exists()
    assert leftovers(tmp_path) == []

    server.pages[f"/files/{WEIGHTS}"] = good
    assert fetch().mode == "fast"


def test_connection_breaks_off(
    fetch: Callable[..., Weights], server: Server, tmp_path: Path
) -> None:
    server.cut[f"/files/{WEIGHTS}"] = 100
    with pytest.raises(DownloadError, match=r"the connection broke off.*call again"):
        fetch()
    assert not (tmp_path / "zenodo.8225385" / WEIGHTS).exists()
    assert leftovers(tmp_path) == []

    server.cut.clear()
    assert fetch().mode == "fast"


@pytest.mark.parametrize("missing", [RECORD, f"/files/{WEIGHTS}"])
def test_404(fetch: Callable[..., Weights], server: Server, missing: str) -> None:
    del server.pages[missing]
    with pytest.raises(DownloadError, match=rf"tried {server.url}{missing}: .*404"):
        fetch()


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Archive:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    record = f"http://127.0.0.1:{closed_port()}{RECORD}"
    return Archive(WEIGHTS, "10.5281/zenodo.8225385", record, "pass flow_model_in= or train")


def test_offline_says_what_was_tried_and_what_to_do(offline: Archive, tmp_path: Path) -> None:
    with pytest.raises(DownloadError) as caught:
        default_weights("table", "fast", cache=tmp_path, published={"table": offline})
    place = tmp_path / "zenodo.8225385" / WEIGHTS
    for part in (
        f"tried {offline.record}: no connection",
        f"copy {WEIGHTS} of https://doi.org/10.5281/zenodo.8225385 to {place}",
        str(place.with_name("record.json")),
        "pass flow_model_in= or train",
    ):
        assert part in str(caught.value)


def test_offline_with_a_copy_made_by_hand(offline: Archive, tmp_path: Path) -> None:
    place = tmp_path / "zenodo.8225385" / WEIGHTS
    place.parent.mkdir()
    place.write_bytes(zipped(models()))
    published = {"table": offline}
    with pytest.warns(SoupWarning, match="used unchecked"):
        weights = default_weights("table", "fast", cache=tmp_path, published=published)
    assert weights == default_weights("table", "fast", cache=tmp_path, published=published)


@pytest.mark.parametrize("whole", [True, False])
def test_offline_with_a_copy_and_its_record(
    server: Server, offline: Archive, tmp_path: Path, whole: bool
) -> None:
    body = zipped(models())
    server.publish(pretrained_models__zip=body)
    record = server.pages[RECORD].replace(
        server.url.encode(), b"http://127.0.0.1:%d" % closed_port()
    )
    folder = tmp_path / "zenodo.8225385"
    folder.mkdir()
    (folder / "record.json").write_bytes(record)
    (folder / WEIGHTS).write_bytes(body if whole else body[:-5])
    published = {"table": offline}
    if whole:
        assert default_weights("table", "slow", cache=tmp_path, published=published).flow_model
    else:
        with pytest.raises(DownloadError, match="is there, but is not the published file"):
            default_weights("table", "slow", cache=tmp_path, published=published)


def test_damaged_copy_made_by_hand(offline: Archive, tmp_path: Path) -> None:
    place = tmp_path / "zenodo.8225385" / WEIGHTS
    place.parent.mkdir()
    place.write_bytes(zipped(models())[:-40])
    with (
        pytest.warns(SoupWarning, match="used unchecked"),
        pytest.raises(DownloadError, match="expected a whole zip file"),
    ):
        default_weights("table", "fast", cache=tmp_path, published={"table": offline})


def test_login_page_instead_of_the_record(
    fetch: Callable[..., Weights], server: Server, tmp_path: Path
) -> None:
    good = server.pages[RECORD]
    server.pages[RECORD] = b"<html>Welcome to the guest network</html>"
    with pytest.raises(DownloadError, match="expected a Zenodo record as JSON"):
        fetch()
    server.pages[RECORD] = good
    assert fetch().mode == "fast"


@pytest.mark.parametrize("page", [b"[]", b"{}", b'{"files": [{"key": "pretrained_models.zip"}]}'])
def test_record_of_another_shape(
    fetch: Callable[..., Weights], server: Server, page: bytes
) -> None:
    server.pages[RECORD] = page
    with pytest.raises(DownloadError, match="expected a Zenodo record as JSON"):
        fetch()


def test_cache_that_cannot_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    published = {"table": server.archive(WEIGHTS)}
    with pytest.raises(DownloadError, match="SOUPXR_CACHE"):
        default_weights("table", "fast", cache=tmp_path / "file", published=published)


# ---------------------------------------------------------------- unpacking
ESCAPES = ["../evil.pt", "table/../../evil.pt", "/etc/evil.pt", "..\\evil.pt", "C:/evil.pt"]


@pytest.mark.parametrize("name", ESCAPES)
def test_members_that_leave_their_folder(
    fetch: Callable[..., Weights], server: Server, tmp_path: Path, name: str
) -> None:
    body = zipped({**models(), name: b"evil"})
    server.publish(pretrained_models__zip=body, sample_data__zip=body)
    with pytest.raises(DownloadError, match="members that stay in their folder"):
        fetch()
    with pytest.raises(DownloadError, match="members that stay in their folder"):
        sample_data(cache=tmp_path, archive=server.archive(SAMPLE))
    assert [path for path in tmp_path.rglob("*.pt") if path.is_file()] == []


KILLED_HALFWAY = """
import os, shutil, sys
from soupxr.downloads import Archive, default_weights

copy, copied = shutil.copyfileobj, []

def die(source, sink, *rest):
    if copied:
        sink.write(b"half")
        sink.flush()
        os._exit(9)
    copied.append(True)
    copy(source, sink, *rest)

shutil.copyfileobj = die
record, cache = sys.argv[1:]
archive = Archive("pretrained_models.zip", "10.5281/zenodo.8225385", record, "")
default_weights("table", "fast", cache=cache, published={"table": archive})
"""


def test_killed_unpacking_is_done_again(
    fetch: Callable[..., Weights], server: Server, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED_HALFWAY, server.url + RECORD, str(tmp_path)]
    root = Path(__file__).resolve().parents[1]
    killed = subprocess.run(command, cwd=root, env=os.environ | {"PYTHONPATH": str(root)})
    assert killed.returncode == 9
    assert leftovers(tmp_path) == [".fast.part"]
    weights = fetch()
    assert weights.feature_model.read_text().startswith("table/feature_extractor")
    assert leftovers(tmp_path) == []
    assert server.asked.count(f"/files/{WEIGHTS}") == 1


def test_a_deleted_member_is_unpacked_again(fetch: Callable[..., Weights], server: Server) -> None:
    fetch().sequence_model.unlink()
    assert fetch().sequence_model.is_file()
    assert len(server.asked) == 2


def test_import_is_light() -> None:
    code = (
        "import sys, soupxr.downloads; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'pooch')))"
    )
    root = Path(__file__).resolve().parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root).returncode == 0
