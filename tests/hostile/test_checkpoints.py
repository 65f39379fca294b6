"""Checkpoints: damaged anywhere, packed without end, or programs that would run or never end."""

from __future__ import annotations

import io
import pickle
import random
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hostile import targets
from hostile.cage import Case, failures, try_all
from hostile.mutate import mutated
from torch import nn

from soupxr.models import checkpoint
from soupxr.models.foreign import thresholds_of
from soupxr.models.tgmj import TGMJ

SMALL: dict[str, Any] = {"n_features": 12, "hidden": 6, "c_out": 2, "n_filters": 3, "n_layers": 2}


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> dict[str, bytes]:
    """One file of each kind, as small as it can be."""
    folder = tmp_path_factory.mktemp("good")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TGMJ(4, **SMALL)
    checkpoint.write(
        folder / "own.ckpt", kind="sequence", mode="fast", model=model, behaviors=("a", "b", "c"),
        window=None, image_size=(32, 32), preprocessing="plain",
        normalization=((0.5, 0.5, 0.5), (0.2, 0.2, 0.2)), extra={"note": [1, "x"]},
        thresholds=(0.5, 0.5, 0.5, 0.5),
    )  # fmt: skip
    settings = {
        "project": {"class_names": ["background", "a", "b", "c"]},
        "augs": {
            "normalization": {"mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]},
            "resize": [32, 32],
        },
        "sequence": {"filter_length": 15, "tgm_reduction": "max"},
    }
    content = {"state_dict": model.state_dict(), "hyper_parameters": settings, "epoch": 3}
    lightning = content | {"pytorch-lightning_version": "1.5"}
    torch.save(lightning, folder / "lightning.ckpt")
    torch.save(content, folder / "legacy.pt", _use_new_zipfile_serialization=False)
    torch.save(model.state_dict(), folder / "bare.pt")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _reduced(file: bytes, program: bytes) -> bytes:
    """A checkpoint with another program in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as archive, zipfile.ZipFile(out, "w") as changed:
        for entry in archive.infolist():
            is_program = entry.filename.endswith("data.pkl")
            changed.writestr(entry, program if is_program else archive.read(entry))
    return out.getvalue()


def _program(file: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))


def test_damaged_checkpoints_are_read_or_refused(good, seeds, tmp_path):
    def cases():
        others = list(good.values())
        for seed in seeds(0.1, 40):
            for name, data in good.items():
                yield Case(f"{name}, seed {seed}", (name, mutated(data, seed, others)), (name,))

    outcomes = try_all("checkpoints", targets.checkpoint, cases(), tmp_path)
    assert not failures(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"right", "refused"}


def test_damaged_programs_of_checkpoints_are_followed_or_refused(good, seeds, tmp_path):
    """The zip file is whole; what is in it is not."""

    def cases():
        for seed in seeds(0.1, 60):
            for name in ("own.ckpt", "lightning.ckpt"):
                program = mutated(_program(good[name]), seed, [_program(good["bare.pt"])])
                content = (name, _reduced(good[name], program))
                yield Case(f"program of {name}, seed {seed}", content, (name,))

    assert not failures(try_all("checkpoint programs", targets.checkpoint, cases(), tmp_path))


# ------------------------------------------------------------------ values that nobody wrote

VALUES = [
    *[None, True, -1, 0, 10**9, 2**70, -(2**40), 1.5, float("nan"), float("inf"), "", "x" * 50_000],
    *["\ud800", "background", b"bytes", (), [], {}, [1, 2], (1, "a"), ("a", "a"), {"a": []}],
    *[{1: 2}, (float("nan"),) * 4, ("a", "b"), ((1, 2), 3), (10**9, 10**9), {"filter_length": 0}],
    *[{"filter_length": 10**9}, {"reduction": "sum"}, ["background", [], {}, ()], {1, 2}],
    *[torch.zeros(()), torch.zeros(0), torch.zeros(2, 2, 2), complex(1, 2), range(3)],
]


def test_values_of_any_kind_in_the_place_of_any_other(good, seeds, tmp_path):
    def cases():
        for seed in seeds(0.1, 250):
            chance = random.Random(seed)
            name = chance.choice(["own.ckpt", "lightning.ckpt", "bare.pt"])
            content = torch.load(io.BytesIO(good[name]), weights_only=False)
            told = [_replace(content, chance) for _ in range(chance.choice((1, 1, 2)))]
            out = io.BytesIO()
            torch.save(content, out)
            yield Case(f"{name}, seed {seed}: {told}", (name, out.getvalue()), (name,))

    assert not failures(try_all("checkpoint values", targets.checkpoint, cases(), tmp_path))


def _replace(content: Any, chance: random.Random) -> str:
    """Put something else somewhere into a tree."""
    key = chance.choice(list(content)) if isinstance(content, dict) else None
    if key is None:
        return "nothing"
    below = content[key]
    if isinstance(below, dict) and below and chance.random() < 0.8:
        return f"{key}/{_replace(below, chance)}"
    if chance.random() < 0.15:
        del content[key]
        return f"no {key}"
    value = chance.choice(VALUES)
    content[key] = value
    return f"{key} = {value!r:.60}"


# ------------------------------------------------------------------ without end


def _doubled(depth: int = 60, empty: bytes = b"]", join: bytes = b"l") -> bytes:
    """A program for a value that holds the one before it twice, ``depth`` times over."""
    step = b"".join(b"(h\x00h\x00%sq\x00" % join for _ in range(depth))
    return b"\x80\x02%sq\x00%s" % (empty, step)


ENDLESS = {
    "a list of lists": _doubled() + b".",
    "a name that is a list": _doubled() + b"X\x01\x00\x00\x00xh\x00\x93.",
    "a key that is a tuple": _doubled(60, b")", b"t") + b"}h\x00Ns.",
    "a set of tuples": b"\x80\x04\x8f(" + _doubled(60, b")", b"t")[2:] + b"\x90.",
    "memory named by a list": _doubled() + b"(X\x07\x00\x00\x00storagectorch\nFloatStorage\n"
    b"h\x00X\x03\x00\x00\x00cpuK\x04tQ.",
    "memory of a kind that is a list": _doubled() + b"(X\x07\x00\x00\x00storageh\x00"
    b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQ.",
    "a size of large numbers": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00"
    b"storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK\x00("
    + (b"\x8a\x1f" + b"\x77" * 31) * 200_000
    + b"t)tR.",
    "a number of a million digits": b"\x80\x02\x8b\x40\x42\x0f\x00" + b"\x77" * 1_000_000 + b".",
    "copies of copies": b"\x80\x02("
    + b"(K\x01K\x02t" * 50_000
    + b"lq\x00ccollections\nOrderedDict\nq\x010"
    + b"h\x01h\x00\x85R" * 50_000
    + b".",
    "names of names": b"\x80\x04X\x40\x42\x0f\x00%sq\x00" % (b"x" * 1_000_000)
    + b"h\x00h\x00\x93" * 100_000
    + b".",
    "lists without number": b"\x80\x02" + b"]" * (1 << 25) + b".",
    "bytes that are not there": b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b".",
}


@pytest.mark.parametrize("legacy", [False, True])
def test_programs_that_would_never_end(legacy, good, tmp_path):
    cases = []
    for name, program in ENDLESS.items():
        if legacy and len(program) > 1 << 24:
            continue  # the same length of program ends both
        file = program if legacy else _reduced(good["bare.pt"], program)
        cases.append(Case(f"{name}, legacy {legacy}", ("endless.pt", file), ("endless.pt",)))
    outcomes = try_all("checkpoint programs", targets.checkpoint, cases, tmp_path)
    assert not failures(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"refused"}


def _nested() -> Any:
    nested: Any = []
    for _ in range(60):
        nested = [nested, nested]
    return nested


@pytest.mark.parametrize("field", ["crop_size", "pad", "resize", "normalization", "class_names"])
def test_settings_that_cannot_be_written_out(field, good, tmp_path):
    content = torch.load(io.BytesIO(good["lightning.ckpt"]), weights_only=False)
    group = "project" if field == "class_names" else "augs"
    content["hyper_parameters"][group][field] = _nested()
    out = io.BytesIO()
    torch.save(content, out)
    case = Case(f"nested {field}", ("lightning.ckpt", out.getvalue()), ("lightning.ckpt",))
    outcomes = try_all("checkpoint values", targets.checkpoint, [case], tmp_path)
    assert not failures(outcomes)
    assert outcomes[0].kind == "right"


@pytest.mark.parametrize("field", ["extra", "config", "behaviors", "soupxr_version", "thresholds"])
def test_fields_that_cannot_be_written_out(field, good, tmp_path):
    nested = _nested()
    content = torch.load(io.BytesIO(good["own.ckpt"]), weights_only=False)
    content[field] = {"deep": nested} if field in ("extra", "config") else tuple(nested)
    out = io.BytesIO()
    torch.save(content, out)
    case = Case(f"nested {field}", ("own.ckpt", out.getvalue()), (field,))
    assert not failures(try_all("checkpoint values", targets.checkpoint, [case], tmp_path))


def _packed(file: bytes, size: int) -> bytes:
    """The same checkpoint, compressed, with ``size`` zeros beside it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as archive, zipfile.ZipFile(out, "w") as bomb:
        for entry in archive.infolist():
            content = archive.read(entry)
            if entry.filename.endswith("data/0"):
                content = bytes(size)
            bomb.writestr(entry.filename, content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _overlapping(file: bytes, times: int) -> bytes:
    """The same checkpoint, with its directory naming one piece of it many times."""
    out = io.BytesIO(file)
    with zipfile.ZipFile(out, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
        archive.filelist += [largest] * times
        archive._didModify = True
    return out.getvalue()


def test_zip_bombs(good, tmp_path):
    cases = [
        Case("packed", ("bomb.pt", _packed(good["bare.pt"], 3 << 29)), ("bomb.pt",)),
        Case("overlapping", ("bomb.pt", _overlapping(good["bare.pt"], 5000)), ("bomb.pt",)),
    ]
    outcomes = try_all("zip bombs", targets.checkpoint, cases, tmp_path)
    assert not failures(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"refused"}


def test_tensors_that_claim_more_than_there_is(good, tmp_path):
    state = {"a": torch.zeros(4)}
    out = io.BytesIO()
    torch.save(state, out)
    program = _program(out.getvalue())
    claims = [b"J\xff\xff\xff\x7f", b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"J\xff\xff\xff\xff"]
    cases = []
    for claim in claims:
        for old, new in ((b"K\x04tq", claim + b"tq"), (b"K\x04\x85", claim + b"\x85")):
            assert old in program
            file = _reduced(out.getvalue(), program.replace(old, new))
            cases.append(Case(f"claims {claim!r} for {old!r}", ("claim.pt", file), ("claim.pt",)))
    assert not failures(try_all("checkpoint values", targets.checkpoint, cases, tmp_path))


# ------------------------------------------------------------------ programs that would run


class _Runs:
    def __init__(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.made_of = name, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        module, _, name = self.made_of[0].rpartition(".")
        return getattr(__import__(module, fromlist=[name]), name), self.made_of[1]


def test_nothing_that_a_file_names_is_run(good, tmp_path):
    marker = tmp_path.parent / "ran"
    calls = [
        ("os.system", (f"touch '{marker}'",)),
        ("subprocess.getoutput", (f"touch '{marker}'",)),
        ("builtins.eval", (f"open({str(marker)!r}, 'w')",)),
        ("builtins.exec", (f"open({str(marker)!r}, 'w')",)),
        ("builtins.open", (str(marker), "w")),
        ("os.mkdir", (str(marker),)),
        ("torch.hub.load_state_dict_from_url", ("http://127.0.0.1:9/x.pt",)),
        ("urllib.request.urlopen", ("http://127.0.0.1:9/",)),
        ("webbrowser.open", ("http://127.0.0.1:9/",)),
        ("importlib.import_module", ("antigravity",)),
        ("torch.load", (str(marker),)),
        ("shutil.rmtree", (str(tmp_path),)),
    ]
    cases = []
    for legacy in (False, True):
        for name, arguments in calls:
            content = torch.load(io.BytesIO(good["lightning.ckpt"]), weights_only=False)
            content["hyper_parameters"]["project"]["x"] = _Runs(name, arguments)
            content["callbacks"] = {"early": [_Runs(name, arguments)]}
            out = io.BytesIO()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                torch.save(
                    content, out, pickle_module=pickle, _use_new_zipfile_serialization=not legacy
                )
            cases.append(Case(f"{name}, legacy {legacy}", ("run.ckpt", out.getvalue())))
    outcomes = try_all("checkpoints that run", targets.checkpoint, cases, tmp_path)
    assert not failures(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"right"}
    assert not marker.exists()


# ------------------------------------------------------------------ metrics files (HDF5)


def _metrics(path: Path, values: Any, **how: Any) -> bytes:
    with h5py.File(path, "w") as file:
        file.create_dataset("val/metrics_by_threshold/optimum", data=values, **how)
    return path.read_bytes()


def test_damaged_metrics_files_are_read_or_left(good, seeds, tmp_path):
    data = _metrics(tmp_path / "good.h5", np.full((5, 4), 0.5))
    packed = _metrics(tmp_path / "p.h5", np.full((50, 4), 0.5), chunks=(5, 4), compression="gzip")

    def cases():
        for seed in seeds(0.05, 150):
            for kind, whole in (("plain", data), ("packed", packed)):
                content = (good["lightning.ckpt"], mutated(whole, seed, [data]))
                yield Case(f"{kind} metrics, seed {seed}", content)

    assert not failures(try_all("metrics files", targets.metrics, cases(), tmp_path))


def test_metrics_that_promise_too_much_or_point_elsewhere(good, tmp_path):
    place = "val/metrics_by_threshold/optimum"
    elsewhere = tmp_path / "elsewhere.h5"
    _metrics(elsewhere, np.full((5, 4), 0.25))
    cases = []

    def case(name: str, fill) -> None:
        path = tmp_path / "made.h5"
        with h5py.File(path, "w") as file:
            fill(file)
        cases.append(Case(name, (good["lightning.ckpt"], path.read_bytes())))

    case("huge", lambda file: file.create_dataset(place, (10**12, 4), "f4", chunks=(10, 4)))
    case(
        "huge pieces", lambda file: file.create_dataset(place, (10**8, 4), "f4", chunks=(10**7, 4))
    )
    case("a group", lambda file: file.create_group(place))
    case("texts", lambda file: file.create_dataset(place, data=[["a", "b", "c", "d"]]))
    case("not numbers", lambda file: file.create_dataset(place, data=np.full((5, 4), np.nan)))
    case("too large", lambda file: file.create_dataset(place, data=np.full((5, 4), 7.0)))
    case("scalar", lambda file: file.create_dataset(place, data=0.5))
    case("a link", lambda file: file.__setitem__(place, h5py.ExternalLink(str(elsewhere), place)))
    case("a linked group", lambda file: file.__setitem__("val", h5py.ExternalLink("made.h5", "/")))
    case(
        "bytes of another file",
        lambda file: file.create_dataset(
            place, (1, 4), "f8", external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]
        ),
    )
    layout = h5py.VirtualLayout((5, 4), "f8")
    layout[:] = h5py.VirtualSource(elsewhere, place, (5, 4))
    case("virtual", lambda file: file.create_virtual_dataset(place, layout))
    outcomes = try_all("metrics files", targets.metrics, cases, tmp_path)
    assert not failures(outcomes)
    assert {outcome.words for outcome in outcomes} == {""}, "none has thresholds"


def test_thresholds_that_are_there_are_taken(tmp_path):
    _metrics(tmp_path / "classification_metrics.h5", np.full((5, 4), 0.5))
    assert thresholds_of(tmp_path / "x.ckpt", 4) == (0.5,) * 4


def test_the_networks_of_these_tests_are_small():
    assert sum(weight.numel() for weight in TGMJ(4, **SMALL).state_dict().values()) < 2000
    assert isinstance(TGMJ(4, **SMALL), nn.Module)
