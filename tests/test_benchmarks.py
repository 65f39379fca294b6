"""Benchmarks run to their end; how fast is none of a test's business."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"

#: The smallest that each can do; the others want real recordings, the demo, or minutes.
SMALLEST = {
    "infer.py": ["--mode", "fast", "--frames", "12", "--size", "32", "32", "--repeats", "1"],
    "store.py": ["--trials", "20", "--repeats", "1"],
    "synthetic.py": ["--frames", "10", "--runs", "1"],
    "waiting.py": ["--trials", "20", "--labelled", "4", "--repeats", "1"],
}


@pytest.mark.thorough
@pytest.mark.parametrize("script", SMALLEST)
def test_runs(script, tmp_path):
    command = [sys.executable, str(BENCHMARKS / script), *SMALLEST[script]]
    done = subprocess.run(
        [*command, "--json", str(tmp_path / "figures.json")],
        cwd=tmp_path,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert json.loads((tmp_path / "figures.json").read_text())["machine"]
    assert done.stdout


def test_the_list_of_benchmarks_is_whole():
    listed = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
    scripts = {path.name for path in BENCHMARKS.glob("[a-z]*.py")}
    assert [script for script in scripts if f"`{script}`" not in listed] == []
