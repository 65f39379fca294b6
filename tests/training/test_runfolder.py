"""The folder of a run: what may be begun or resumed in it, and that no file is ever half there."""

import copy
import json
from pathlib import Path

import pandas as pd
import pytest

from soupxr.errors import ArgumentError, TrainingError
from soupxr.files import whole_file
from soupxr.training.runfolder import RELAXED, RunFolder

FACTS = {
    "kind": "flow_generator",
    "mode": "fast",
    "store": "/data/reach.zarr",
    "arguments": {
        "batch_size": 32,
        "initial_lr": 1e-4,
        "image_size": (64, 96),
        "max_epochs": 10,
        "device": None,
        "num_workers": "auto",
    },
    "inputs": {"model_in": None, "trials": "0123abcd"},
    "split": {"training": ["M1/S1/1"], "validation": ["M2/S1/1"], "group": "animal"},
    "held_out": [],
}


def facts(**arguments):
    changed = copy.deepcopy(FACTS)
    changed["arguments"] |= arguments
    return changed


def begun(path, **arguments):
    folder = RunFolder.open(path, resume=False)
    folder.begin(facts(**arguments))
    return folder


def told(path):
    return json.loads((path / "run.json").read_text())


# ---------------------------------------------------------------- taking a folder


def test_a_new_run_makes_its_folder_and_says_what_it_is(tmp_path):
    path = tmp_path / "models" / "fast" / "flow"
    folder = RunFolder.open(path, resume=False)
    assert not path.exists()
    assert folder.recorded_split is None
    folder.begin(FACTS)
    run = told(path)
    for name, value in json.loads(json.dumps(FACTS)).items():
        assert run[name] == value
    assert run["finished"] is None
    assert run["started"].endswith("+00:00")
    assert run["versions"].keys() >= {"soupxr", "torch", "numpy"}
    assert not folder.resumes
    assert (folder.best.name, folder.last.name) == ("best.ckpt", "last.ckpt")


def test_an_empty_folder_is_as_good_as_none(tmp_path):
    assert RunFolder.open(tmp_path, resume=False).path == tmp_path
    assert RunFolder.open(str(tmp_path), resume=True).facts == {}


def test_home_is_spelt_out(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RunFolder.open("~/flow", resume=False).path == tmp_path / "flow"


def test_a_relative_path_stays_where_it_was_meant(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = RunFolder.open("flow", resume=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    folder.begin(FACTS)
    assert (tmp_path / "flow" / "run.json").exists()


@pytest.mark.parametrize("resume", [False, True])
def test_a_file_is_no_folder(tmp_path, resume):
    (tmp_path / "flow").write_text("mine")
    with pytest.raises(ArgumentError, match=r"^model_out: expected a folder, but got '.*flow'"):
        RunFolder.open(tmp_path / "flow", resume=resume)
    assert (tmp_path / "flow").read_text() == "mine"


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_something_else_is_left_alone(tmp_path, resume):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ArgumentError, match=r"^model_out: expected a new or empty folder"):
        RunFolder.open(tmp_path, resume=resume)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("text", ["{", "[1]", '"text"', '{"loss": 3}', "\udcff"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_run_that_cannot_be_understood_is_left_alone(tmp_path, text, resume):
    file = tmp_path / "run.json"
    file.write_bytes(text.encode(errors="surrogateescape"))
    before = file.read_bytes()
    with pytest.raises(TrainingError, match=r"run\.json: "):
        RunFolder.open(tmp_path, resume=resume)
    assert file.read_bytes() == before


# ---------------------------------------------------------------- another run


def test_an_interrupted_run_is_not_overwritten_unasked(tmp_path):
    started = begun(tmp_path / "flow").facts["started"]
    with pytest.raises(ArgumentError) as error:
        RunFolder.open(tmp_path / "flow", resume=False)
    message = str(error.value)
    for part in ("model_out", "interrupted", "flow_generator", "fast", started, "resume=True"):
        assert part in message


def test_a_finished_run_is_not_overwritten_unasked(tmp_path):
    begun(tmp_path).finish("num_epochs")
    assert told(tmp_path)["stopped"] == "num_epochs"
    assert told(tmp_path)["finished"].endswith("+00:00")
    with pytest.raises(ArgumentError, match=r"^model_out: .* a finished run"):
        RunFolder.open(tmp_path, resume=False)


# ---------------------------------------------------------------- resuming


def test_the_same_call_goes_on(tmp_path):
    first = begun(tmp_path)
    first.resume_file.write_bytes(b"state")
    first.finish("num_epochs")
    again = RunFolder.open(tmp_path, resume=True)
    assert again.resumes
    assert again.recorded_split == FACTS["split"]
    again.begin(FACTS)
    run = told(tmp_path)
    assert run["started"] == first.facts["started"]
    assert run["finished"] is None


def test_resuming_a_run_that_never_began_begins_it(tmp_path):
    folder = RunFolder.open(tmp_path / "flow", resume=True)
    folder.begin(FACTS)
    assert not folder.resumes
    assert told(tmp_path / "flow")["kind"] == "flow_generator"


def test_the_split_of_the_run_that_is_resumed_stays(tmp_path):
    begun(tmp_path)
    again = RunFolder.open(tmp_path, resume=True)
    other = facts()
    other["split"] = {"training": ["M2/S1/1"], "validation": ["M1/S1/1"], "group": "trial"}
    again.begin(other)
    assert told(tmp_path)["split"] == FACTS["split"]


@pytest.mark.parametrize("name", RELAXED)
def test_how_long_and_on_what_may_change(tmp_path, name):
    begun(tmp_path)
    value = {"max_epochs": 50, "device": "cuda", "num_workers": 3}[name]
    RunFolder.open(tmp_path, resume=True).begin(facts(**{name: value}))
    assert told(tmp_path)["arguments"][name] == value


def test_every_difference_is_told_then_and_now(tmp_path):
    begun(tmp_path)
    before = (tmp_path / "run.json").read_text()
    other = facts(batch_size=8, image_size=(64, 64), max_epochs=99)
    other["mode"] = "slow"
    other["inputs"]["trials"] = "ffff"
    with pytest.raises(ArgumentError) as error:
        RunFolder.open(tmp_path, resume=True).begin(other)
    lines = str(error.value).splitlines()
    assert lines[0].startswith("resume: expected the same run")
    assert str(tmp_path) in lines[0]
    assert lines[1:-1] == [
        "  - mode: 'fast' then, 'slow' now",
        "  - batch_size: 32 then, 8 now",
        "  - image_size: [64, 96] then, [64, 64] now",
        "  - trials: '0123abcd' then, 'ffff' now",
    ]
    assert (tmp_path / "run.json").read_text() == before


def test_a_run_of_another_stage_is_not_gone_on_with(tmp_path):
    begun(tmp_path)
    other = facts() | {"kind": "sequence"}
    with pytest.raises(ArgumentError, match="kind: 'flow_generator' then, 'sequence' now"):
        RunFolder.open(tmp_path, resume=True).begin(other)


# ---------------------------------------------------------------- its files


def names(path):
    return {file.name for file in path.iterdir()}


def test_a_crash_while_replacing_leaves_the_old_file_alone(tmp_path):
    folder = begun(tmp_path)
    folder.best.write_bytes(b"good")

    def half_way(path):
        path.write_bytes(b"ha")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), whole_file(folder.best) as path:
        half_way(path)
    assert folder.best.read_bytes() == b"good"
    assert names(tmp_path) == {"run.json", "best.ckpt"}


def test_a_file_appears_when_it_is_whole(tmp_path):
    folder = begun(tmp_path)
    with whole_file(folder.last) as path:
        path.write_bytes(b"half")
        assert not folder.last.exists()
        assert path.parent == tmp_path
        path.write_bytes(b"whole")
    assert folder.last.read_bytes() == b"whole"
    assert names(tmp_path) == {"run.json", "last.ckpt"}


def test_a_crash_while_facts_are_written_loses_none(tmp_path, monkeypatch):
    folder = begun(tmp_path)
    before = told(tmp_path)

    def full(self, *arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", full)
        with pytest.raises(TrainingError, match=r"cannot be written .*No space.*resume=True"):
            folder.finish("num_epochs")
    assert told(tmp_path) == before
    assert names(tmp_path) == {"run.json"}


def test_figures_are_a_table_that_pandas_reads(tmp_path):
    folder = begun(tmp_path)
    history = [
        {"epoch": 0, "lr": 1e-4, "loss": 0.123456789012345678, "f1_mean": 0.5},
        {"epoch": 1, "lr": 1e-5, "loss": float("nan"), "f1_mean": 0.75, 'f1_a, "b"': 0.25},
    ]
    folder.write_history(history[:1])
    folder.write_history(history)
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert list(table) == ["epoch", "lr", "loss", "f1_mean", 'f1_a, "b"']
    assert table["epoch"].tolist() == [0, 1]
    assert table["loss"][0] == pytest.approx(history[0]["loss"], rel=1e-15)  # as pandas reads
    assert table["loss"].isna().tolist() == [False, True]
    assert table['f1_a, "b"'].isna().tolist() == [True, False]
    assert table["lr"].tolist() == [1e-4, 1e-5]
