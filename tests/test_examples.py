"""Every numbered example runs on its quick settings, as a person would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
SCRIPTS = sorted(path.name for path in EXAMPLES.glob("[0-9]*.py"))

#: What each of them has to say at its end.
SAID = {
    "01_first_ethogram.py": r"fast +4 complete\n(.*\n)*See .+ethograms\.png",
    "02_train_your_own.py": r"\nlift +\S+( +[01]\.\d+){3} +[1-9]\d*\n(.*\n)*mean F1 [01]\.\d+\n"
    r"Curves: .+scores\.html\n(.*\n)*chew",
    "03_clean_and_compare.py": r"kappa(.*\n)*<soupxr viewer: clean(.*\n)*.*10",
    "04_statistics.py": r"Bouts per minute(.*\n)*See .+mean\.html",
    "05_cluster.py": r"fast +4 complete\n(.*\n)*.*'event': 'start'",
}


@pytest.mark.thorough
@pytest.mark.parametrize("script", SCRIPTS)
def test_runs(script, tmp_path):
    command = [sys.executable, str(EXAMPLES / script), "--quick"]
    path = filter(None, [str(EXAMPLES.parent), os.environ.get("PYTHONPATH")])
    surroundings = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert re.search(SAID.get(script, "."), done.stdout), done.stdout[-4000:]


@pytest.mark.parametrize("script", SCRIPTS)
def test_reads_like_a_notebook(script):
    text = (EXAMPLES / script).read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert text.count("\n# %%") >= 3
    assert "--quick" in text


def test_the_list_of_examples_is_whole():
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert [script for script in SCRIPTS if f"`{script}`" not in listed] == []
