"""What all commands share: how they are declared, and how errors and interruptions are told."""

from __future__ import annotations

import logging
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import click

from soupxr.cli.words import in_a_shell
from soupxr.errors import ArgumentError, SoupError, SoupWarning
from soupxr.options import set_options

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "WRONG_USE",
    "Command",
    "Group",
    "command",
    "data_root",
    "group",
    "together",
]

#: Exit codes; 0 is done.
FAILED, WRONG_USE, INTERRUPTED = 1, 2, 130

MAIN_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

DEBUG, QUIET, DATA_ROOT = "soupxr.debug", "soupxr.quiet", "soupxr.data_root"
#: Of an unexpected error, so much is told.
MOST_TOLD = 300

F = TypeVar("F", bound=Callable[..., Any])


def _common() -> list[click.Parameter]:
    """Options that may stand before or after the name of any command."""
    return [
        _remembered(["--quiet", "-q"], QUIET, "No progress bars, and no notes on the way."),
        _remembered(["--debug"], DEBUG, "Show where an error comes from."),
    ]


def data_root(function: F) -> F:
    """The option of commands that read videos."""
    option = click.option(
        "--data-root",
        "videos_root",
        type=click.Path(exists=True, file_okay=False),
        envvar="SOUPXR_DATA_ROOT",
        expose_value=False,
        callback=_remember(DATA_ROOT),
        help="Folder of the videos on this machine, where it is not the one that the store names.",
    )
    return option(function)


def _remembered(flags: list[str], name: str, about: str) -> click.Option:
    return click.Option(
        flags, is_flag=True, expose_value=False, callback=_remember(name), help=about
    )


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def remember(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            ctx.meta[name] = value

    return remember


class _WithExamples(click.Command):
    """Shows examples, whole command lines, at the end of its help."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.examples = examples
        self.params += _common()

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples below the options."""
        with formatter.section("Examples" if len(self.examples) > 1 else "Example"):
            for line in self.examples:
                formatter.write_text(line)


class Group(_WithExamples, click.Group):
    """A group with examples in its help, and its commands in the order in which they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands."""
        return list(self.commands)


class Command(_WithExamples):
    """A command with examples in its help, whose errors are told in one line.

    Parameters
    ----------
    kept : str
        What is there after Ctrl+C, and how to go on; a full sentence.
    """

    def __init__(self, *args: Any, kept: str = "", **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.kept = kept

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; leave with the exit code that its end deserves."""
        debug = bool(ctx.meta.get(DEBUG))
        try:
            with _surroundings(ctx):
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise  # click knows what to do
        except (KeyboardInterrupt, click.Abort, Exception) as error:
            message, code = self._told(error)
            if debug:
                click.echo("".join(traceback.format_exception(error)), err=True)
        click.echo(message, err=True)
        raise click.exceptions.Exit(code)

    def _told(self, error: BaseException) -> tuple[str, int]:
        if isinstance(error, (KeyboardInterrupt, click.Abort)):
            return " ".join(["Stopped.", self.kept]).strip(), INTERRUPTED
        return _told(error)


def together(*parts: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several options and arguments as one."""

    def declare(function: Any) -> Any:
        for part in reversed(parts):
            function = part(function)
        return function

    return declare


def command(
    name: str, *examples: str, kept: str = "Nothing was changed."
) -> Callable[[Callable[..., Any]], Command]:
    """Declare a command.

    Parameters
    ----------
    name : str
        How it is called.
    examples : str
        Whole command lines for its help.
    kept : str
        See :class:`Command`.
    """

    def declare(function: Callable[..., Any]) -> Command:
        make = click.command(
            name, cls=Command, context_settings=MAIN_SETTINGS, examples=examples, kept=kept
        )
        made: Command = make(function)
        return made

    return declare


def group(name: str, *examples: str) -> Callable[[Callable[..., Any]], Group]:
    """Declare a group of commands; arguments as for :func:`command`."""

    def declare(function: Callable[..., Any]) -> Group:
        make = click.group(name, cls=Group, context_settings=MAIN_SETTINGS, examples=examples)
        made: Group = make(function)
        return made

    return declare


def _told(error: BaseException) -> tuple[str, int]:
    """What is said of an error, and the exit code."""
    if isinstance(error, SoupError):
        notes = "".join(f"\n{note}" for note in error.__notes__)
        code = WRONG_USE if isinstance(error, ArgumentError) else FAILED
        return f"soupxr: {in_a_shell(str(error))}{notes}", code
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"soupxr: {error.strerror}{where}", FAILED
    text = " ".join(str(error).split())[:MOST_TOLD]
    return (
        f"soupxr: this was not expected ({type(error).__name__}: {text}). "
        "Run the command again with --debug to see where it comes from.",
        FAILED,
    )


# ------------------------------------------------------------------ what surrounds a command


@contextmanager
def _surroundings(ctx: click.Context) -> Iterator[None]:
    """Options, warnings and notes as they suit a shell."""
    debug, quiet = bool(ctx.meta.get(DEBUG)), bool(ctx.meta.get(QUIET))
    options: dict[str, Any] = {"progress": not quiet and sys.stderr.isatty()}
    if DATA_ROOT in ctx.meta:
        options["data_root"] = ctx.meta[DATA_ROOT]
    with ExitStack() as stack:
        stack.enter_context(set_options(**options))
        stack.enter_context(_warnings_in_a_line(debug))
        if not quiet:
            stack.enter_context(_notes())
        yield


@contextmanager
def _warnings_in_a_line(debug: bool) -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("always", SoupWarning)
        if not debug:
            warnings.showwarning = _show_warning
        yield


def _show_warning(
    message: Warning | str, category: type[Warning], *_: object, **__: object
) -> None:
    # What other packages warn of says little without its name.
    name = "Note" if issubclass(category, SoupWarning) else category.__name__
    _say(f"{name}: {message}")


class _Notes(logging.Handler):
    """Says what the package tells its log."""

    def emit(self, record: logging.LogRecord) -> None:
        _say(record.getMessage())


@contextmanager
def _notes() -> Iterator[None]:
    log, handler = logging.getLogger("soupxr"), _Notes(logging.INFO)
    level = log.level
    log.addHandler(handler)
    log.setLevel(min(logging.INFO, level or logging.INFO))
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


def _say(text: str) -> None:
    """Write a line to stderr, above a progress bar where there is one."""
    from tqdm import tqdm

    tqdm.write(in_a_shell(text), file=sys.stderr)
