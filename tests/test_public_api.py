"""What is public, by name and signature, so that it does not change by accident.

``python tests/test_public_api.py`` writes the list anew, after a change that was meant.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soupxr as sx
from soupxr.accessor import SoupAccessor
from soupxr.cli import main
from soupxr.stages import FeatureExtractor, FlowGenerator, SequenceModel

LIST = Path(__file__).with_name("public_api.txt")
DOCS = Path(__file__).resolve().parents[1] / "docs" / "api"
CLASSES = {
    "ds.soup": SoupAccessor,
    "ds.soup.flow_generator": FlowGenerator,
    "ds.soup.feature_extractor": FeatureExtractor,
    "ds.soup.sequence": SequenceModel,
}
BESIDES = (
    "soupxr.synthetic.read_truth",
    "soupxr.synthetic.render_trial",
    "soupxr.synthetic.write_dataset",
    "soupxr.training.augment.Augmentation",
)


def public() -> Iterator[str]:
    """All of it, a line each."""
    yield from sorted(_of_module("soupxr", sx.__all__))
    for before, owner in CLASSES.items():
        yield from sorted(_of_class(before, owner))
    for name in sorted(sx.io.__all__):
        if inspect.ismodule(module := getattr(sx.io, name)):
            yield from sorted(_of_module(f"soupxr.io.{name}", module.__all__))
    yield from sorted(_of_module("soupxr.analysis", sx.analysis.__all__))
    for path in BESIDES:
        module_name, _, name = path.rpartition(".")
        yield from _of_module(module_name, [name])
    yield from sorted(_commands(main, "soupxr"))


def _of_module(module_name: str, names: list[str]) -> Iterator[str]:
    module = importlib.import_module(module_name)
    for name in names:
        yield f"{module_name}.{name}{_signature(getattr(module, name))}"


def _of_class(before: str, owner: type) -> Iterator[str]:
    for name, member in vars(owner).items():
        if not name.startswith("_"):
            yield f"{before}.{name}{_signature(member)}"


def _signature(thing: Any) -> str:
    """Its parameters with their defaults; types are the business of mypy."""
    if isinstance(thing, type) and issubclass(thing, BaseException):
        return f"({thing.__mro__[1].__name__})"
    if not callable(thing):
        return ""
    signature = inspect.signature(thing)
    bare = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in signature.parameters.items()
        if name != "self"
    ]
    return str(inspect.Signature(bare))


def _commands(command: Any, name: str) -> Iterator[str]:
    for below, one in sorted(getattr(command, "commands", {}).items()):
        options = sorted(
            max(parameter.opts, key=len) if parameter.opts[0].startswith("-") else parameter.name
            for parameter in one.params
        )
        yield " ".join(["$", name, below, *options])
        yield from _commands(one, f"{name} {below}")


def test_nothing_public_has_changed():
    assert LIST.read_text(encoding="utf-8").splitlines() == list(public())


def test_the_reference_holds_all_of_it():
    pages = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}
    directive = re.compile(r"auto(?:function|class|exception|method|property):: (?:\S*\.)?(\w+)$")
    told = {
        found[1]
        for text in pages.values()
        for line in text.splitlines()
        if (found := directive.search(line))
    }
    stages = {"flow_generator", "feature_extractor", "sequence"}
    wanted = {
        re.split(r"[(\s]", line)[0].rpartition(".")[2]
        for line in public()
        if not line.startswith("$")
    }
    wanted -= stages | {"__version__", "analysis", "io", "BEHAVIORS"}
    assert wanted <= told
    listed = pages["index.md"]
    lacking = [
        name
        for before, owner in CLASSES.items()
        for name in vars(owner)
        if not name.startswith("_")
        and name not in stages
        and f"{owner.__name__}.{name}\n" not in listed
    ]
    assert not lacking


if __name__ == "__main__":
    LIST.write_text("\n".join(public()) + "\n", encoding="utf-8")
