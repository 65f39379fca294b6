"""Files of other programs: a lab that has good ones, and ways in which each may be wrong."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import h5py
import numpy as np
import pandas as pd
import yaml
from hostile.mutate import mutated

__all__ = ["FILES", "changed", "make_lab"]

N, FPS = 60, 500.0
NAMES = ["lift", "grab", "chew"]
CLASSES = ["background", *NAMES]
RECORDED = Path(__file__).parents[1] / "io" / "data"

#: Kind and place of each file within the lab.
FILES: list[tuple[str, str]] = [
    ("boris", "reach.boris"), ("boris", "packed.boris"), ("boris", "tabular.tsv"),
    ("boris", "aggregated.csv"), ("boris", "events.xlsx"), ("tables", "bouts.csv"),
    ("tables", "bouts.xlsx"), ("tables", "frames.csv"), ("tables", "own.csv.provenance.json"),
    ("animal_soup", "df.hdf"), ("animal_soup", "videos/M1/S1/outputs.h5"),
    ("deepethogram", "mice/project_config.yaml"),
    ("deepethogram", "mice/DATA/m1_a/m1_a_labels.csv"),
    ("deepethogram", "mice/DATA/m1_a/m1_a_outputs.h5"),
    ("jaaba", "M1_S1_1/scores_lift.mat"), ("jaaba", "M1_S1_1/labels.mat"),
    ("jaaba", "M1_S1_2/scores_grab.mat"),
]  # fmt: skip


def make_lab(lab: Path) -> Path:
    """Two stores of trials whose videos are empty, and a good file of each kind."""
    import soupxr as sx
    from soupxr import store
    from soupxr.ingest import TrialRow

    for name in ("videos/M1/S1", "mice/DATA/m1_a", "mice/models/run", "M1_S1_1", "M1_S1_2"):
        (lab / name).mkdir(parents=True)
    videos = [[f"M1/S1/reach_{v}_v00{n}.mp4" for v in ("side", "front")] for n in (1, 2)]
    for path in (*videos[0], *videos[1], "../mice/DATA/m1_a/m1_a.mp4"):
        (lab / "videos" / path).touch()
    rows = [TrialRow("M1", "S1", n, tuple(videos[n - 1]), N, FPS) for n in (1, 2)]
    address = store.create(lab / "reach.zarr", lab / "videos", views=("side", "front"))
    store.add_trials(address, rows)
    mice = store.create(lab / "mice.zarr", lab / "mice" / "DATA", behaviors=NAMES, views=["joined"])
    store.add_trials(mice, [TrialRow("mice", "DATA", 1, ("m1_a/m1_a.mp4",), N, FPS)])
    assert sx.open(lab / "reach.zarr").sizes["trial"] == 2
    _put_boris(lab)
    _put_tables(lab)
    _put_animal_soup(lab)
    _put_deepethogram(lab / "mice")
    _put_jaaba(lab)
    return lab


def _mask(n_columns: int) -> np.ndarray:
    return np.random.default_rng(n_columns).integers(0, 2, (N, n_columns))


def _put_boris(lab: Path) -> None:
    video = str(lab / "videos/M1/S1/reach_side_v001.mp4")
    events = [
        [0.004, "", "lift", "", ""], [0.01, "", "lift", "", "", 5],
        [0.02, "", "chew", "", "", "NA"], [0.022, "", "grab", "a|b", "", 11],
        [0.03, "", "grab", "a|b", "", 15],
    ]  # fmt: skip
    info = {"length": {video: N / FPS}, "fps": {video: FPS}, "offset": {"1": 0.0}}
    seen = {
        "file": {"1": [video], "2": []}, "type": "MEDIA", "date": "2026-03-01T10:00:00",
        "time offset": 0.0, "events": events, "observation time interval": [0, 0],
        "independent_variables": {"observer": "Ana"}, "media_info": info,
        "media_creation_date_as_offset": False,
    }  # fmt: skip
    kinds = ["State event", "State event", "Point event"]
    conf = {str(n): {"type": kinds[n], "code": name} for n, name in enumerate(NAMES)}
    project = {
        "project_name": "reach", "project_format_version": "7.0", "behaviors_conf": conf,
        "subjects_conf": {}, "observations": {"M1 S1 1": seen}, "independent_variables": {},
    }  # fmt: skip
    data = json.dumps(project).encode()
    (lab / "reach.boris").write_bytes(data)
    (lab / "packed.boris").write_bytes(gzip.compress(data))
    for form, suffix in (("tabular", "tsv"), ("aggregated", "csv")):
        recorded = RECORDED / f"boris_8.27.4_{form}_1.{suffix}"
        (lab / f"{form}.{suffix}").write_bytes(recorded.read_bytes())
    rows = [["Observation id", "Behavior", "Behavior type", "Time"]]
    rows += [["M1/S1/1", "lift", "START", 0.01], ["M1/S1/1", "lift", "STOP", 0.05]]
    _put_excel(lab / "events.xlsx", rows)


def _put_excel(path: Path, rows: list[list[Any]]) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)


def _put_tables(lab: Path) -> None:
    header = ["animal", "session", "trial_id", "behavior", "start_s", "stop_s", "annotator"]
    rows: list[list[Any]] = [header, ["M1", "S1", 1, "lift", 0.01, 0.05, "Ana"]]
    rows += [["M1", "S1", 2, "grab", 0.03, 0.04, "Ben"], ["M1", "S1", 2, "lift", 0.03, 0.1, "Ben"]]
    (lab / "bouts.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    (lab / "own.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    record = {"form": "bouts", "trials": ["M1/S1/1", "M1/S1/2"]}
    record |= {"unlabelled": {"M1/S1/1": {"chew": [[0, 5]]}}, "soupxr": "1"}
    (lab / "own.csv.provenance.json").write_text(json.dumps(record))
    _put_excel(lab / "bouts.xlsx", rows)
    frames = [["animal", "session", "trial_id", "observer", "frame", *NAMES]]
    frames += [
        ["M1", "S1", "1", "Ana", str(n), *map(str, row)] for n, row in enumerate(_mask(3).tolist())
    ]
    (lab / "frames.csv").write_text("\n".join(",".join(row) for row in frames))


def _put_animal_soup(lab: Path) -> None:
    columns = {
        "animal_id": ["M1"] * 2,
        "session_id": ["S1"] * 2,
        "trial_id": [1, 2],
        "vid_paths": [
            {v: PurePosixPath(f"M1/S1/reach_{v}_v00{n}.mp4") for v in ("front", "side")}
            for n in (1, 2)
        ],
        "output_path": [PurePosixPath("M1/S1/outputs.h5")] * 2,
        "notes": [None, "wet paw"],
        "cleaned_ethograms": [_mask(6).T, None],
    }
    with warnings.catch_warnings():
        # PyTables says that objects are pickled, as animal-soup has them.
        warnings.simplefilter("ignore")
        pd.DataFrame(columns).to_hdf(lab / "df.hdf", key="df", mode="w")
    with h5py.File(lab / "videos/M1/S1/outputs.h5", "w") as file:
        group = file.create_group("1/fast")
        group["features/spatial"] = np.zeros((N, 4), np.float32)
        group["sequence/probabilities"] = _mask(7).astype(np.float32)
        group["ethogram"] = _mask(6).T
        file["2/cleaned_ethogram"] = _mask(6).T


def _put_deepethogram(project: Path) -> None:
    about = {"class_names": CLASSES, "data_path": "DATA", "labeler": "jim"}
    about |= {"model_path": "models", "name": "mice"}
    normalization = {"N": 10, "mean": [0.1, 0.2, 0.3], "std": [0.2, 0.2, 0.2]}
    config = {"project": about, "augs": {"normalization": normalization}}
    (project / "project_config.yaml").write_text(yaml.safe_dump(config))
    (project / "models" / "run" / "checkpoint.pt").write_bytes(b"weights")
    folder = project / "DATA" / "m1_a"
    with (folder / "m1_a_labels.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["", *CLASSES])
        for n, row in enumerate(_mask(3).tolist()):
            rows.writerow([n, int(not any(row)), *row])
    with h5py.File(folder / "m1_a_outputs.h5", "w") as file:
        for name in ("resnet18", "tgmj"):
            entry = file.create_group(name)
            entry["P"] = _mask(4).astype(np.float32)
            entry["thresholds"] = np.full(4, 0.5, np.float32)
            entry.create_dataset("class_names", data=CLASSES, dtype=h5py.string_dtype())
        file["resnet18/spatial_features"] = np.zeros((N, 4), np.float32)


def _cells(*values: Any) -> np.ndarray:
    array = np.empty((1, len(values)), dtype=object)
    array[0, :] = [*values]
    return array


def _put_jaaba(lab: Path) -> None:
    import scipy.io

    scores = np.where(_mask(1).T > 0, 2.5, -1.5)
    one = {"scores": _cells(scores), "tStart": np.ones((1, 1)), "tEnd": np.full((1, 1), N)}
    one |= {"postprocessed": _cells((scores > 0).astype(float))}
    scipy.io.savemat(
        lab / "M1_S1_1/scores_lift.mat", {"allScores": one, "timestamp": 1.0}, do_compression=True
    )
    inside = {"t0s": _cells(np.array([[1.0, 9.0]])), "t1s": _cells(np.array([[4.0, 12.0]]))}
    inside |= {"names": _cells(_cells("grab", "None")), "flies": np.array([[1.0]])}
    scipy.io.savemat(lab / "M1_S1_1/labels.mat", {"labels": inside})
    with h5py.File(lab / "M1_S1_2/scores_grab.mat", "w", userblock_size=512) as file:
        file["#refs#/a"] = scores.T
        kept = file.create_dataset("allScores/scores", (1, 1), dtype=h5py.ref_dtype)
        kept[0, 0] = file["#refs#/a"].ref
        kept.attrs["MATLAB_class"] = np.bytes_("cell")
        file["allScores/tEnd"] = np.full((1, 1), float(N))
        file["behaviorName"] = np.array([[ord(c)] for c in "grab"], np.uint16)
        file["behaviorName"].attrs["MATLAB_class"] = np.bytes_("char")


# ------------------------------------------------------------------ what may be wrong

ODD: list[Any] = [
    *[None, True, -1, 0, 1, 7, 10**6, 2**63, 10**400, 0.5, -1e300, 1e308, float("nan")],
    *[float("inf"), "", " ", "x", "NaN", "inf", "1e999", "9" * 400, "1:2:3", "9" * 400 + ":1"],
    *["../../etc", "/etc/passwd", "\ud800", "\u202e", "\0", "é" * 300, "x" * 5000, "lift", "=1+1"],
    *[[], {}, [0], [[]], ["x", None], {"a": 1}, {"1": ["x"]}, [[0.1, "", "lift", "", "", 1e400]]],
]
CELLS = [
    *["", " ", "x", "-1", "0", "1", "2", "0.5", "nan", "inf", "-inf", "1e308", "1e999", "9" * 30],
    *["9" * 5000, "9" * 5000 + ":1", "9" * 400 + ":1", "1:2:3", "1,5", "é", "\0", "\r", '"', ","],
    *["../../x", "/etc/passwd", "=cmd|' /C calc'!A0", "grab", "M1/S1/2", "x" * 200_000, "\u202e"],
    *["player #1:a.mp4;b.mp4|player #2:c.mp4", "No focal subject", "POINT", "START", "NA", "٣"],
]


def changed(name: str, data: bytes, seed: int, others: list[bytes]) -> bytes:
    """A file that is nearly a good one: its bytes are others, or what they mean is.

    Parameters
    ----------
    name : str
        Its suffix tells what it is.
    data : bytes
        The good one.
    seed : int
        Of all chance.
    others : list of bytes
        Good files that parts can be taken of.
    """
    chance = random.Random(seed)
    means = _MEANS[PurePosixPath(name).suffix]
    if chance.random() < 0.3:
        return mutated(data, seed, others)
    for _ in range(chance.choice((1, 1, 1, 2, 5))):
        data = means(data, chance)
    return data


def _other_json(data: bytes, chance: random.Random) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        return gzip.compress(_other_json(gzip.decompress(data), chance))
    tree = json.loads(data)
    _replace(tree, chance)
    return json.dumps(tree).encode()


def _other_yaml(data: bytes, chance: random.Random) -> bytes:
    if chance.random() < 0.2:
        lines = data.split(b"\n")
        lines[chance.randrange(len(lines))] = chance.choice(YAML).encode()
        return b"\n".join(lines)
    try:
        tree = yaml.safe_load(data)
        _replace(tree, chance)
        return yaml.safe_dump(tree).encode()
    except (yaml.YAMLError, ValueError, TypeError, AttributeError):
        return data  # it is damaged already, or cannot be


YAML = [
    "x: !!python/object/apply:os.system ['touch ran']", "x: !!python/name:os.system", "x: *none",
    "x: 2026-13-45", "{[a]: 1}", "<<: [1]", "\t", "---", "x: 1:2:99999999999999999999", "? [[]]",
    "x: !!binary '='", "x: !!int 'y'", "x: !!timestamp 9", "x: .inf", "[" * 3000, "x: 0x",
    "a: &a *a",
]  # fmt: skip


def _replace(tree: Any, chance: random.Random) -> None:
    if not isinstance(tree, dict | list) or not tree:
        return
    place = chance.choice(list(tree) if isinstance(tree, dict) else range(len(tree)))
    if isinstance(tree[place], dict | list) and tree[place] and chance.random() < 0.8:
        _replace(tree[place], chance)
    elif isinstance(tree, dict) and chance.random() < 0.15:
        del tree[place]
    else:
        tree[place] = chance.choice(ODD)


def _other_table(data: bytes, chance: random.Random) -> bytes:
    sign = b"\t" if b"\t" in data else b","
    lines = data.split(b"\n")
    line = chance.randrange(min(len(lines), 6))
    kind = chance.random()
    if kind < 0.1:
        lines.insert(line, lines[chance.randrange(len(lines))])
    elif kind < 0.2:
        del lines[line]
    else:
        cells = lines[line].split(sign)
        cells[chance.randrange(len(cells))] = chance.choice(CELLS).encode()
        lines[line] = sign.join(cells)
    return b"\n".join(lines)


XML = [
    (b'r="1"', b'r="999999999999"'), (b'r="2"', b'r="1048576"'), (b"A1", b"ZZZ1"),
    (b"A1", b"1A"),
    (b'ref="A1:', b'ref="A1:XFD1048576" x="'), (b't="n"', b't="s"'), (b't="s"', b't="d"'),
    (b"<v>", b"<v>9999999999999999999"), (b"<v>", b"<v>x"),
    (b"<v>1</v>", b"<v>%b</v>" % (b"9" * 400)),
    (b"<row", b"<wor"), (b"worksheet", b"chartsheet"), (b"rId1", b"rId9"), (b"sheetId", b"x"),
    (b"<sheetData", b"<sheetData><row r='-5'/>"),
    (b"?>", b"?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>"),
    (b"</t>", b"&b;</t>"), (b"xl/", b"../"), (b'Target="', b'Target="/../../etc/'), (b"<f", b"<"),
]  # fmt: skip


def _other_excel(data: bytes, chance: random.Random) -> bytes:
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
            names = old.namelist()
            chosen = chance.choice([*names, *[n for n in names if "sheet1" in n] * 3])
            for name in names:
                content = old.read(name)
                if name == chosen:
                    fitting = [pair for pair in XML if pair[0] in content]
                    if fitting and chance.random() < 0.8:
                        content = content.replace(*chance.choice(fitting), 1)
                    elif chance.random() < 0.2:
                        continue
                    else:
                        content = mutated(content, chance.randrange(10**6))
                new.writestr(name, content)
    except zipfile.BadZipFile:
        return data
    return out.getvalue()


#: Of datasets: shapes and kinds that are not what a reader waits for.
ARRAYS: list[Callable[[], Any]] = [
    lambda: np.zeros(0), lambda: np.float64(3), lambda: np.zeros((0, 7)),
    lambda: np.zeros((3, 4, 5)),
    lambda: np.full((N, 4), np.nan), lambda: np.full((4, N), np.inf), lambda: np.full((N, 1), 7),
    lambda: np.full((N, 6), -1, np.int8), lambda: np.full((6, N), 255, np.uint64),
    lambda: b"text", lambda: "é", lambda: np.zeros((N, 4), complex), lambda: np.zeros(N, bool),
    lambda: np.zeros(3, [("a", "f4"), ("b", "i4")]), lambda: np.array([b"x"] * 4),
    lambda: h5py.Empty("f4"), lambda: np.full((N, 7), 1e38), lambda: np.zeros((2**12, 7)),
]  # fmt: skip


def _other_hdf5(data: bytes, chance: random.Random) -> bytes:
    held = io.BytesIO(data)
    try:
        with h5py.File(held, "r+") as file:
            names: list[str] = []
            file.visit(names.append)
            name = chance.choice(names)
            kind = chance.random()
            if kind < 0.15 and file[name].attrs:
                key = chance.choice(list(file[name].attrs))
                del file[name].attrs[key]
                if chance.random() < 0.8:
                    file[name].attrs[key] = chance.choice((0, -1, 10**9, b"x", "frame", [1, 2]))
                return _written(file, held)
            del file[name]
            if kind < 0.3:
                return _written(file, held)
            if kind < 0.4:
                file.create_dataset(name, (10**9, 1000), "f8", chunks=(1000, 1000))
            elif kind < 0.5:
                file[name] = chance.choice(
                    [h5py.SoftLink("/"), h5py.SoftLink("/none"), h5py.ExternalLink("df.hdf", "/df")]
                )
            elif kind < 0.6:
                file[name] = file["/"]
            elif kind < 0.7:
                file.create_group(name)
            else:
                file[name] = chance.choice(ARRAYS)()
            return _written(file, held)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError):
        return data  # it is damaged already


def _written(file: Any, held: io.BytesIO) -> bytes:
    file.flush()
    return held.getvalue()


def _other_matlab(data: bytes, chance: random.Random) -> bytes:
    """Of a file of version 7.3, as of HDF5; of an older one, other variables."""
    if data[512:].startswith(b"\x89HDF"):
        return _other_hdf5(data, chance)
    import scipy.io

    try:
        tree = scipy.io.loadmat(io.BytesIO(data), simplify_cells=True)
        tree = {name: value for name, value in tree.items() if not name.startswith("__")}
        _replace_array(tree, chance)
        out = io.BytesIO()
        scipy.io.savemat(out, tree, do_compression=chance.random() < 0.5)
    except Exception:
        return data  # it is damaged already, or cannot be written
    return out.getvalue()


MATLAB: list[Callable[[], Any]] = [
    lambda: np.zeros((0, 0)), lambda: np.full((1, N), np.nan), lambda: np.full((1, N), np.inf),
    lambda: "x", lambda: "", lambda: _cells(), lambda: _cells("x", 1.0), lambda: {"a": 1.0},
    lambda: _cells(_cells(_cells(1.0))), lambda: np.zeros((N, 3)), lambda: np.full((1, N), 1j),
    lambda: np.full((1, 1), 1e300), lambda: np.full((1, 2), -5.0), lambda: np.array(["ab", "cd"]),
    lambda: np.ones((1, N), bool), lambda: np.full((1, N), 2**63, np.uint64), lambda: 5.0,
    lambda: _cells({"a": 1.0}), lambda: _cells(np.zeros((1, N)), np.zeros((1, N))),
]  # fmt: skip


def _replace_array(tree: dict[str, Any], chance: random.Random) -> None:
    name = chance.choice(list(tree))
    if isinstance(tree[name], dict) and tree[name] and chance.random() < 0.85:
        _replace_array(tree[name], chance)
    elif chance.random() < 0.15:
        del tree[name]
    else:
        tree[name] = chance.choice(MATLAB)()


_MEANS: dict[str, Callable[[bytes, random.Random], bytes]] = {
    ".boris": _other_json, ".json": _other_json, ".yaml": _other_yaml, ".csv": _other_table,
    ".tsv": _other_table, ".xlsx": _other_excel, ".hdf": _other_hdf5, ".h5": _other_hdf5,
    ".mat": _other_matlab,
}  # fmt: skip
