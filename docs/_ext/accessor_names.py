"""Methods of the accessor under the names that people type: ``ds.soup.infer``."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.ext.autosummary import Autosummary

#: Class → what stands before its methods.
TYPED = {
    "SoupAccessor": "ds.soup",
    "FlowGenerator": "ds.soup.flow_generator",
    "FeatureExtractor": "ds.soup.feature_extractor",
    "SequenceModel": "ds.soup.sequence",
    "Viewer": "viewer",
}


def typed(name: str) -> str:
    """What a user types for a method of one of the classes; other names as they are."""
    owner, _, method = name.rpartition(".")
    before = TYPED.get(owner.rpartition(".")[2])
    return name if before is None else f"{before}.{method}"


class TypedSummary(Autosummary):
    """``autosummary`` whose first column is what people type."""

    def get_items(self, names: list[str]) -> list[tuple[str, str | None, str, str]]:
        """Rows of the table."""
        return [(typed(real), *rest, real) for _, *rest, real in super().get_items(names)]


def rename(app: Sphinx, doctree: nodes.document) -> None:
    """Put ``ds.soup.`` before the signatures of methods, and into the list beside the page."""
    for signature in doctree.findall(addnodes.desc_signature):
        before = TYPED.get(signature.get("class", ""))
        for prefix in signature.findall(addnodes.desc_addname):
            if before is not None:
                prefix.children = [nodes.Text(f"{before}.")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.add_directive("typedsummary", TypedSummary)
    app.connect("doctree-read", rename)
    return {"parallel_read_safe": True}
