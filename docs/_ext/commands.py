"""The directive ``commands``: what ``soupxr COMMAND --help`` says, a section each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


def commands(command: click.Command, name: str) -> Iterator[tuple[str, str]]:
    """Name and help text of a command and of all below it."""
    context = click.Context(command, info_name=name, terminal_width=92, max_content_width=92)
    yield name, command.get_help(context)
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            if found is not None:
                yield from commands(found, f"{name} {below}")


class Commands(SphinxDirective):
    """Sections with help texts."""

    def run(self) -> list[nodes.Node]:
        """Make them."""
        from soupxr.cli import main

        sections: list[nodes.Node] = []
        for name, text in commands(main, "soupxr"):
            section = nodes.section(ids=[name.replace(" ", "-")])
            section += nodes.title(text=name)
            section += nodes.literal_block(text, text, language="none")
            sections.append(section)
        return sections


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
