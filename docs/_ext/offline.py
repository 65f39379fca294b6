"""Refuses pages that fetch anything from the network when they are opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed|object)\b[^>]*\b(?:src|data)\s*=\s*["']?"""
    r"""((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel\s*=\s*["']?(?:stylesheet|preload|prefetch|preconnect|icon))"""
    r"""[^>]*\bhref\s*=\s*["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|@import\s+(?:url\()?["']?((?:https?:)?//[^"'\s)]+)"""
    r"""|url\(\s*["']?((?:https?:)?//[^"'\s)]+)""",
    re.IGNORECASE,
)


def fetched(text: str) -> list[str]:
    """Addresses on the network that a page or a style sheet loads by itself."""
    return [next(filter(None, found.groups())) for found in FETCHED.finditer(text)]


def problems(folder: Path) -> Iterator[str]:
    """All of them, with the file."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".html", ".css", ".svg"}:
            for address in fetched(path.read_text(encoding="utf-8")):
                yield f"{path.relative_to(folder)} loads {address}"


def check(app: Sphinx, error: Exception | None) -> None:
    """Look at all that was built."""
    if error is None and app.builder.format == "html":
        found = list(problems(Path(app.outdir)))
        if found:
            raise ExtensionError("pages must be whole without a network:\n" + "\n".join(found))


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.connect("build-finished", check)
    return {"parallel_read_safe": True}
