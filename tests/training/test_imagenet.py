"""ImageNet weights from a small web server on this machine: fetched, checked, refused."""

import functools
import hashlib
import io
import os
import pickle
import shutil
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from soupxr.errors import ArgumentError, DownloadError
from soupxr.models._torchvision import torchvision
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import MODES
from soupxr.training import imagenet
from soupxr.training.imagenet import imagenet_weights


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def published():
    """What torchvision publishes of ResNet-18, with other numbers."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return torchvision.models.resnet18().state_dict()


@pytest.fixture
def served(tmp_path):
    """Folder that is served, and its address."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Handler, directory=folder)
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Where torch keeps what it fetched, empty; and no proxy on the way to this machine."""
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    torch.hub.set_dir(str(tmp_path / "hub"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "hub" / "checkpoints"


@pytest.fixture
def publish(served, monkeypatch):
    """Put bytes on the server as the weights of ResNet-18."""
    folder, address = served

    def put(content, digest=None):
        digest = digest or hashlib.sha256(content).hexdigest()[:8]
        name = f"resnet18-{digest}.pth"
        (folder / name).write_bytes(content)
        monkeypatch.setitem(imagenet.URLS, "resnet18", f"{address}/{name}")
        return folder / name

    return put


def saved(value):
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def test_weights_are_fetched_once(cache, publish, published):
    file = publish(saved(published))
    weights = imagenet_weights("resnet18")
    assert weights.keys() == published.keys()
    for name, value in published.items():
        assert torch.equal(weights[name], value)
    assert [path.name for path in cache.iterdir()] == [file.name]
    file.unlink()
    assert torch.equal(imagenet_weights("resnet18")["conv1.weight"], published["conv1.weight"])


def test_both_classifiers_start_from_what_came(cache, publish, published):
    publish(saved(published))
    weights = imagenet_weights("resnet18")
    network = HiddenTwoStream(MODES["fast"], 7)
    frame = torch.rand(1, 3, 64, 64)
    backbone = torchvision.models.resnet18()
    backbone.load_state_dict(published)
    backbone.fc = torch.nn.Identity()
    for classifier in (network.spatial_classifier, network.flow_classifier):
        before = {name: value.clone() for name, value in classifier.state_dict().items()}
        classifier.start_from_pictures(weights)
        after = classifier[0].state_dict()
        for name, value in published.items():
            if name not in ("conv1.weight", "fc.weight", "fc.bias"):
                assert torch.equal(after[name], value)
        kernel = after["conv1.weight"]
        assert kernel.shape == (64, classifier.in_channels, 7, 7)
        # What classifies into behaviors is still the network's own.
        own = [name for name in before if not name.startswith("0.")]
        assert own
        for name in own:
            assert torch.equal(classifier.state_dict()[name], before[name])
    # One picture shown as every frame of the window looks as it does to the original, but for the
    # scale that normalises it over frames.
    kernel = network.spatial_classifier[0].conv1.weight
    repeated = frame.repeat(1, kernel.shape[1] // 3, 1, 1)
    wanted = torch.nn.functional.conv2d(frame, published["conv1.weight"], padding=3)
    seen = torch.nn.functional.conv2d(repeated, kernel, padding=3)
    ratio = (seen * wanted).sum() / (wanted**2).sum()
    torch.testing.assert_close(seen, ratio * wanted, rtol=1e-3, atol=1e-4)
    assert ratio > 0


def test_a_file_of_another_digest_is_refused_and_not_kept(cache, publish, published):
    publish(saved(published), digest="0123abcd")
    with pytest.raises(DownloadError, match=r"resnet18-0123abcd.*invalid hash.*init=\"random\""):
        imagenet_weights("resnet18")
    assert list(cache.iterdir()) == []


def told_of_the_folder(error, cache):
    return str(cache) in str(error.value) and 'init="random"' in str(error.value)


def test_a_server_that_is_down(cache, publish, published, monkeypatch):
    publish(saved(published))
    stopped = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port = stopped.server_port
    stopped.server_close()
    url = f"http://127.0.0.1:{port}/resnet18-00000000.pth"
    monkeypatch.setitem(imagenet.URLS, "resnet18", url)
    with pytest.raises(DownloadError) as error:
        imagenet_weights("resnet18")
    assert url in str(error.value)
    assert told_of_the_folder(error, cache)


def test_a_file_that_is_not_on_the_server(cache, publish, published):
    publish(saved(published)).unlink()
    with pytest.raises(DownloadError, match="404") as error:
        imagenet_weights("resnet18")
    assert told_of_the_folder(error, cache)


def test_a_file_put_there_by_hand_serves_without_a_network(cache, publish, published):
    file = publish(saved(published))
    cache.mkdir(parents=True)
    shutil.move(file, cache / file.name)
    assert imagenet_weights("resnet18").keys() == published.keys()


class Malice:
    """Runs a command when it is unpickled by something careless."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize(
    "careless",
    [saved, functools.partial(pickle.dumps, protocol=2)],
    ids=["by torch", "bare pickle"],
)
def test_a_file_that_would_run_something_is_refused(cache, publish, tmp_path, careless):
    mark = tmp_path / "ran"
    file = publish(careless({"conv1.weight": Malice(mark)}))
    with pytest.raises(DownloadError) as error:
        imagenet_weights("resnet18")
    assert not mark.exists()
    assert told_of_the_folder(error, cache)
    assert file.name in str(error.value)


@pytest.mark.parametrize("length", [0, 10, 4000])
def test_a_file_that_was_cut_short_on_this_disk(cache, publish, published, length):
    whole = saved(published)
    file = publish(whole)
    cache.mkdir(parents=True)
    (cache / file.name).write_bytes(whole[:length])
    with pytest.raises(DownloadError) as error:
        imagenet_weights("resnet18")
    assert told_of_the_folder(error, cache)


def test_there_are_none_of_volumes():
    with pytest.raises(ArgumentError, match=r"^init: expected 'random' .*resnet3d_34"):
        imagenet_weights("resnet3d_34")


@pytest.mark.parametrize("mode", ["fast", "medium"])
def test_each_flat_backbone_has_its_published_file(mode):
    url = imagenet.URLS[MODES[mode].backbone]
    assert url.startswith("https://")
    assert Path(url).name.startswith(MODES[mode].backbone)
