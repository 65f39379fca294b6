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

import click

import soupxr as sx
from soupxr.accessor import SoupAccessor
from soupxr.cli import main
from soupxr.dashboard.viewer import Viewer
from soupxr.options import _OPTIONS
from soupxr.stages import FeatureExtractor, FlowGenerator, SequenceModel

LIST = Path(__file__).with_name("public_api.txt")
DOCS = Path(__file__).resolve().parents[1] / "docs" / "api"
CLASSES = {
    "ds.soup": SoupAccessor,
    "ds.soup.flow_generator": FlowGenerator,
    "ds.soup.feature_extractor": FeatureExtractor,
    "ds.soup.sequence": SequenceModel,
    "viewer": Viewer,
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
    yield f"soupxr.set_options: {', '.join(sorted(_OPTIONS))}"
    for name in sorted(sx.io.__all__):
        if inspect.ismodule(module := getattr(sx.io, name)):
            yield from sorted(_of_module(f"soupxr.io.{name}", module.__all__))
        else:
            yield from _of_module("soupxr.io", [name])
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
        return f"({', '.join(base.__name__ for base in thing.__bases__)})"
    if isinstance(thing, property):
        return " (can be set)" if thing.fset else ""
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
        yield " ".join(["$", name, below, *sorted(map(_option, one.params))])
        yield from _commands(one, f"{name} {below}")


def _option(parameter: click.Parameter) -> str:
    """Its name, what it takes if that is one of a few, and what it is if it is not given."""
    is_option = parameter.opts[0].startswith("-")
    told = max(parameter.opts, key=len) if is_option else str(parameter.name)
    if isinstance(parameter.type, click.Choice):
        told += f"{{{','.join(map(str, parameter.type.choices))}}}"
    told += "..." if parameter.multiple or parameter.nargs == -1 else ""
    default = parameter.get_default(click.Context(main), call=False)
    # Click has a value of its own for what has no default.
    if default and isinstance(default, tuple):
        told += f"={','.join(map(str, default))}"
    elif isinstance(default, str | int | float | Path) and default is not False:
        told += f"={str(default)!r}" if isinstance(default, str | Path) else f"={default}"
    return f"{told}!" if is_option and parameter.required else told


def test_nothing_public_has_changed():
    assert LIST.read_text(encoding="utf-8").splitlines() == list(public())


def test_the_reference_holds_all_of_it():
    pages = {path.name: path.read_text(encoding="utf-8") for path in DOCS.glob("*.md")}
    kinds = "function|class|exception|method|property|data"
    directive = re.compile(rf"auto(?:{kinds}):: (?:\S*\.)?(\w+)$")
    told = {
        found[1]
        for text in pages.values()
        for line in text.splitlines()
        if (found := directive.search(line))
    }
    stages = {"flow_generator", "feature_extractor", "sequence"}
    wanted = {re.split(r"[(:\s]", line)[0] for line in public() if not line.startswith("$")}
    wanted -= {f"ds.soup.{stage}" for stage in stages}
    wanted -= {"soupxr.__version__", "soupxr.analysis", "soupxr.io"}
    assert {name.rpartition(".")[2] for name in wanted} <= told
    # In the tables of the first page stand classes, where people type what holds one.
    listed = set(re.findall(r"^   ([\w.]+)$", pages["index.md"], re.MULTILINE))
    classes = {owner.__name__: before for before, owner in CLASSES.items()}
    owners = {name: name.partition(".")[0] for name in listed}
    listed = {name.replace(owner, classes.get(owner, owner), 1) for name, owner in owners.items()}
    assert listed == wanted


if __name__ == "__main__":
    LIST.write_text("\n".join(public()) + "\n", encoding="utf-8")
