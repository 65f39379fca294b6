"""Files of other programs: damaged anywhere, with odd values, or far larger than they look."""

from __future__ import annotations

import gzip
import io
import pickle
import re
import struct
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from hostile import targets
from hostile.cage import Case, failures, try_all
from hostile.imports import FILES, changed, make_lab

pytest.importorskip("tables")
pytest.importorskip("openpyxl")
pytest.importorskip("scipy.io")

#: Of each file: tries in every run, and in a thorough one.
FEW, MANY = 1, 12


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Path:
    return make_lab(tmp_path_factory.mktemp("good") / "lab")


def test_the_good_files_are_taken(lab, tmp_path):
    cases = [Case(name, (str(lab), kind, name, (lab / name).read_bytes())) for kind, name in FILES]
    outcomes = try_all("imports", targets.imported, cases, tmp_path)
    assert not failures(outcomes)
    assert [o.case.name for o in outcomes if o.kind != "right"] == []


@pytest.mark.parametrize("count", [FEW, pytest.param(MANY, marks=pytest.mark.thorough)])
def test_damaged_files_are_taken_whole_or_refused(count, lab, seeds, tmp_path):
    good = {name: (lab / name).read_bytes() for _, name in FILES}
    others = list(good.values())

    def cases():
        for seed in seeds(0.1, count) if count == MANY else range(count):
            for kind, name in FILES:
                data = changed(name, good[name], seed, others)
                yield Case(f"{name}, seed {seed}", (str(lab), kind, name, data))

    outcomes = try_all("imports", targets.imported, cases(), tmp_path)
    assert not failures(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"right", "refused"}
    assert not [path for path in (*tmp_path.rglob("ran"), Path("ran")) if path.exists()]


# ------------------------------------------------------------------ far larger than they look


def _zip_bomb(good: bytes) -> bytes:
    out = io.BytesIO()
    compressed = zipfile.ZIP_DEFLATED
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(out, "w", compressed) as new:
        for name in old.namelist():
            with new.open(name, "w", force_zip64=True) as file:
                file.write(old.read(name))
                for _ in range(300 if name.endswith("sheet1.xml") else 0):
                    file.write(b" " * (1 << 20))
    return out.getvalue()


def _with_sheet(good: bytes, rows: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("sheet1.xml"):
                content = re.sub(rb"<dimension.*?/>", b'<dimension ref="A1:XFD1048576"/>', content)
                content = re.sub(rb"<sheetData>.*</sheetData>", rows, content)
            new.writestr(name, content)
    return out.getvalue()


def _gzip_bomb() -> bytes:
    return gzip.compress(b'{"behaviors_conf": ' + b" " * (300 << 20), compresslevel=1)


def _dense_gzip() -> bytes:
    return gzip.compress(b"[" + b"[]," * (30 << 20), compresslevel=1)


def _hdf5(fill) -> bytes:
    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        fill(file)
    return held.getvalue()


def _huge(file) -> None:
    for name in ("1/fast/ethogram", "2/cleaned_ethogram", "tgmj/P"):
        file.create_dataset(name, (10**7, 10**4), "f8", chunks=(1000, 1000), compression="gzip")


def _elsewhere(file) -> None:
    file["1"] = h5py.ExternalLink("/etc/hostname", "/")


def _raw_elsewhere(file) -> None:
    for name in ("1/fast/ethogram", "2/cleaned_ethogram", "tgmj/P"):
        file.create_dataset(name, (10,), "u1", external=[("/etc/passwd", 0, 10)])


def _within_itself(file) -> None:
    file["allScores/a"] = file["/"]
    file["allScores/b"] = file["/"]
    file["allScores/c"] = file["allScores"]


def _ladder(file) -> None:
    file["0/x"] = np.zeros(1)
    for n in range(1, 40):
        file[f"{n}/a"] = file[f"{n - 1}"]
        file[f"{n}/b"] = file[f"{n - 1}"]


def _laughing_pickle(good: bytes) -> bytes:
    """The dataframe, with a column of lists that hold one list ten times, and so on."""
    value: list = ["x"]
    for _ in range(12):
        value = [value] * 10
    held = io.BytesIO(good)
    with h5py.File(held, "r+") as file:
        for name, dataset in file["df"].items():
            if name.endswith("_values") and dataset.dtype.kind == "O":
                del file["df"][name]
                array = np.empty((2, 1), dtype=object)
                array[:, 0] = [value, value]
                kept = file["df"].create_dataset(name, (1,), h5py.vlen_dtype(np.uint8))
                kept[0] = np.frombuffer(pickle.dumps(array, protocol=4), np.uint8)
    return held.getvalue()


def _matlab_bomb() -> bytes:
    packer = zlib.compressobj(1)
    size = 300 << 20
    body = struct.pack("<4I", 6, 8, 6, 0) + struct.pack("<4I", 5, 8, 1, size // 8)
    body += struct.pack("<2I", 0x10001, ord("x")) + struct.pack("<2I", 9, size)
    packed = packer.compress(struct.pack("<2I", 14, len(body) + size) + body)
    packed += b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
    head = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
    return head + struct.pack("<2I", 15, len(packed)) + packed


LAUGHS = "\n".join(
    ["a0: &a0 [x]", *[f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 13)]]
)
MERGED = "\n".join(
    [
        "a0: &a0 {x: 1}",
        *[f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 13)],
    ]
)


def _settings(head: str, classes: str, name: str) -> bytes:
    return f"{head}\nproject: {{class_names: {classes}, name: {name}, data_path: none}}".encode()


def _bombs(lab: Path) -> list[tuple[str, str, str, bytes]]:
    excel = (lab / "bouts.xlsx").read_bytes()
    far = b'<sheetData><row r="%d"><c r="A1"><v>1</v></c></row></sheetData>'
    wide = b"<sheetData>" + b'<row><c r="ZZZ1"><v>1</v></c></row>' * 3000 + b"</sheetData>"
    pickled = _laughing_pickle((lab / "df.hdf").read_bytes())
    config, scores = "mice/project_config.yaml", "M1_S1_2/scores_grab.mat"
    outputs, predicted = "videos/M1/S1/outputs.h5", "mice/DATA/m1_a/m1_a_outputs.h5"
    return [
        ("spaces in gzip", "boris", "packed.boris", _gzip_bomb()),
        ("lists in gzip", "boris", "packed.boris", _dense_gzip()),
        ("lists in lists", "boris", "reach.boris", b"[" * 500_000),
        ("a picture without end", "boris", "reach.boris", b'{"behaviors_conf":' + b"1e999}"),
        ("zip", "tables", "bouts.xlsx", _zip_bomb(excel)),
        ("a far row", "tables", "bouts.xlsx", _with_sheet(excel, far % 10**12)),
        ("a last row", "tables", "bouts.xlsx", _with_sheet(excel, far % 2**20)),
        ("wide rows", "boris", "events.xlsx", _with_sheet(excel, wide)),
        ("huge arrays", "animal_soup", outputs, _hdf5(_huge)),
        ("huge arrays", "deepethogram", predicted, _hdf5(_huge)),
        ("another file", "animal_soup", outputs, _hdf5(_elsewhere)),
        ("bytes of another file", "animal_soup", outputs, _hdf5(_raw_elsewhere)),
        ("bytes of another file", "deepethogram", predicted, _hdf5(_raw_elsewhere)),
        ("groups in themselves", "jaaba", scores, _hdf5(_within_itself)),
        ("groups in two groups", "jaaba", scores, _hdf5(_ladder)),
        ("lists in a pickle", "animal_soup", "df.hdf", pickled),
        ("compressed variables", "jaaba", "M1_S1_1/scores_lift.mat", _matlab_bomb()),
        ("aliases", "deepethogram", config, _settings(LAUGHS, "*a12", "x")),
        ("aliased name", "deepethogram", config, _settings(LAUGHS, "[x]", "*a12")),
        ("merged keys", "deepethogram", config, _settings(MERGED, "[x]", "x")),
        ("deep settings", "deepethogram", config, b"[" * 3000),
    ]  # fmt: skip


@pytest.mark.thorough
def test_small_files_that_unpack_to_more_than_anybody_has(lab, tmp_path):
    cases = [
        Case(f"{what}, {name}", (str(lab), kind, name, data))
        for what, kind, name, data in _bombs(lab)
    ]
    assert [case.name for case in cases if len(case.value[3]) > 8 << 20] == []
    outcomes = try_all("unpacked imports", targets.imported, cases, tmp_path)
    assert not failures(outcomes)
    assert [o.case.name for o in outcomes if o.kind != "refused"] == []


def test_the_disk_is_not_looked_through_for_checkpoints(lab, tmp_path):
    text = (lab / "mice/project_config.yaml").read_text()
    data = text.replace("model_path: models", "model_path: /").encode()
    case = Case("model_path: /", (str(lab), "deepethogram", "mice/project_config.yaml", data))
    assert not failures(try_all("imports", targets.imported, [case], tmp_path))


ORDERS = [
    "x: !!python/object/apply:os.system ['touch ran']",
    "x: !!python/object/new:subprocess.Popen [[touch, ran]]",
    "x: !!python/module:antigravity",
]


def test_settings_run_nothing(lab, tmp_path):
    name = "mice/project_config.yaml"
    good = (lab / name).read_bytes()
    cases = [
        Case(line, (str(lab), "deepethogram", name, line.encode() + b"\n" + good))
        for line in ORDERS
    ]
    outcomes = try_all("imports", targets.imported, cases, tmp_path)
    assert not failures(outcomes)
    assert {outcome.kind for outcome in outcomes} == {"refused"}
