"""What is in the wheel and in the sdist."""

from __future__ import annotations

import email
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import soupxr
from soupxr.errors import SoupError

ROOT = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with both, made without a network by the hatchling that is installed."""
    pytest.importorskip("build")
    pytest.importorskip("hatchling")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> dict[str, bytes]:
    """Its files."""
    (path,) = built.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _information(wheel: dict[str, bytes], name: str) -> str:
    return wheel[f"soupxr-{soupxr.__version__}.dist-info/{name}"].decode()


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    there = {path for path in wheel if not path.split("/")[0].endswith(".dist-info")}
    tracked = subprocess.run(
        ["git", "ls-files", "soupxr"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    if not tracked:
        pytest.skip("not a clone")
    pages = {path for path in there if path.startswith("soupxr/docs/")}
    assert there - pages == set(tracked)
    assert "soupxr/py.typed" in there
    # Errors name a page that tells more; it comes along.
    told = {f"soupxr/docs/{kind.page.partition('#')[0]}" for kind in SoupError.__subclasses__()}
    assert told <= pages
    assert {path.rpartition(".")[2] for path in pages} == {"md"}


def test_the_wheel_says_what_it_needs(wheel):
    told = email.message_from_string(_information(wheel, "METADATA"))
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [line for line in told.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert {line.replace(" ", "") for line in needed} == set(declared["dependencies"])
    assert told["Version"] == soupxr.__version__
    assert told["License-Expression"] == "BSD-3-Clause"
    assert "soupxr = soupxr.cli:main" in _information(wheel, "entry_points.txt")
    assert "Redistribution" in _information(wheel, "licenses/LICENSE")


def test_what_runs_needs_no_developers_tools():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    tools = ("pytest", "mypy", "ruff", "hypothesis", "sphinx", "playwright")
    assert not [line for line in declared["dependencies"] if line.startswith(tools)]


def test_the_sdist_can_be_tested_and_documented(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    wanted = ("LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "CONTRIBUTING.md")
    wanted += (
        ".ci/constraints-lowest.txt",
        "Makefile",
        "pyproject.toml",
        "soupxr/py.typed",
        "tests/conftest.py",
        "docs/conf.py",
    )
    assert set(wanted) <= there
    assert not [name for name in there if name.startswith((".venv", "demo", "build", "dist"))]
    assert not [name for name in there if "__pycache__" in name]


def test_lowest_versions_are_those_that_are_declared():
    from packaging.requirements import Requirement

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = ("distributed", "tensorboard", "excel", "matlab", "nwb")
    lines = declared["dependencies"] + [
        line for extra in extras for line in declared["optional-dependencies"][extra]
    ]
    text = (ROOT / ".ci" / "constraints-lowest.txt").read_text(encoding="utf-8")
    pinned = dict(
        line.lower().split("==") for line in text.splitlines() if line and not line.startswith("#")
    )
    strange = []
    for requirement in map(Requirement, lines):
        version = pinned[requirement.name.lower()]
        (bound,) = (one for one in requirement.specifier if one.operator == ">=")
        # 6 is met by 6.0.0, and by the first version that can be had.
        if version not in requirement.specifier or not version.startswith(bound.version):
            strange.append(f"{requirement}: {version}")
    assert not strange, strange


def test_the_version_is_told_alike_everywhere():
    yaml = pytest.importorskip("yaml")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["version"] == soupxr.__version__
    assert f"## {soupxr.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
