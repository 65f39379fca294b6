"""How tests run commands."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from soupxr.cli import main


@pytest.fixture
def soupxr():
    """Run a command in this process."""

    def run(*arguments, code=0, **options):
        result = CliRunner().invoke(main, [str(a) for a in arguments], **options)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    return run


@pytest.fixture
def fingerprint():
    """Digest of everything in a folder."""

    def of(folder):
        digest = hashlib.sha256()
        for path in sorted(Path(folder).rglob("*")):
            digest.update(str(path.relative_to(folder)).encode())
            if path.is_file():
                digest.update(path.read_bytes())
        return digest.hexdigest()

    return of


@pytest.fixture
def calls(monkeypatch):
    """Put a stand-in in place of a method; what it is called with is kept."""

    def of(where, name, result=None):
        seen = []

        def stand_in(self, *arguments, **options):
            seen.append((self, arguments, options))
            return result

        monkeypatch.setattr(where, name, stand_in)
        return seen

    return of
