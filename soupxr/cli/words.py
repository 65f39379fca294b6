"""Messages of the library in the words of a shell."""

from __future__ import annotations

import re
import shlex

__all__ = ["in_a_shell"]

#: What a call of Python is as a command.
COMMANDS = {
    "create": "soupxr create",
    "open": "soupxr ls",
    "add_item": "soupxr add",
    "find_item": "soupxr add --dry-run",
    "remove_item": "soupxr remove",
    "trials": "soupxr ls",
    "check": "soupxr check",
    "annotate": "soupxr import labels",
    "infer": "soupxr infer",
    "feature_extractor.infer": "soupxr infer --only features",
    "flow_generator.train": "soupxr train flow",
    "feature_extractor.train": "soupxr train features",
    "sequence.train": "soupxr train sequence",
    "optimize_thresholds": "soupxr thresholds",
    "evaluate": "soupxr evaluate",
    "view": "soupxr view",
    "clean_ethograms": "soupxr view --clean",
    "manual_ethograms": "soupxr view --manual",
    "compare_ethograms": "soupxr view --compare",
}
#: Arguments, and the options that they are.
OPTIONS = {
    "annotator": "annotator",
    "first_frame": "first-frame",
    "folds": "folds",
    "missing": "missing",
    "mode": "mode",
    "new_only": "new-only",
    "on": "on",
    "overwrite": "overwrite",
    "password": "password",
    "rest": "rest",
    "resume": "resume",
    "subject": "subject",
    "trials": "trials",
    "unit": "unit",
    "unpaired": "unpaired",
    "views": "view",
}
#: Mappings of which each entry is an option.
MAPPINGS = {"behaviors": "behavior", "columns": "column"}
#: What is called otherwise here.
PHRASES = {
    "call add_item again": "call soupxr add again",
    ".findings is a table of all": "--csv and --json list all",
    "ds.sel(animal=..., session=..., trial_id=...)": "--animal, --session and --trial",
}

_CALL = re.compile(r"\b(?:ds\.soup|soupxr|sx)\.([a-z_]+(?:\.[a-z_]+)?)(?:\(([^()]*)\))?")
_VALUE = r"…|\"[^\"]*\"|'[^']*'|\['[^',]*'\]|[\w-]+"
_OPTION = re.compile(rf"\b({'|'.join(OPTIONS)})=({_VALUE})")
_GIVE = re.compile(rf"\b(Pass|pass|with|or) ({'|'.join(OPTIONS)})=({_VALUE}|(?=[\s.,;)]|$))")
_MAPPING = re.compile(rf"\b({'|'.join(MAPPINGS)})=\{{(['\"])(.*?)\2: *([^{{}}]*)\}}")
_TRIALS = re.compile(r"\btrials=\{[^{}]*\}")
_PASS = re.compile(r"\b([Pp])ass (?=--)")


def in_a_shell(message: str) -> str:
    """Name commands and options in place of calls and arguments, as far as there are such.

    Examples
    --------
    >>> in_a_shell("Pass overwrite=True to replace it.")
    'Give --overwrite to replace it.'
    >>> in_a_shell('Label more with ds.soup.infer(mode="fast", overwrite=True).')
    'Label more with soupxr infer --mode fast --overwrite.'
    """
    for phrase, here in PHRASES.items():
        message = message.replace(phrase, here)
    message = _MAPPING.sub(_entry, _CALL.sub(_command, message))
    message = _TRIALS.sub("--trials PATTERN", message)
    message = _GIVE.sub(lambda found: f"{found[1]} {_option(found[2], found[3])}", message)
    return _PASS.sub(lambda found: "Give " if found[1] == "P" else "give ", message)


def _entry(mapping: re.Match[str]) -> str:
    name, _, key, value = mapping.groups()
    plain = {"None": "", "...": "…"}.get(value, value.strip("\"'"))
    return f"--{MAPPINGS[name]} {shlex.quote(key)}={plain}"


def _command(call: re.Match[str]) -> str:
    """The command of a call; the call itself where there is none that says all of it."""
    arguments = call[2] or ""
    given = [_option(*found.groups()) for found in _OPTION.finditer(arguments)]
    untold = _OPTION.sub("", arguments).strip(" ,….")
    command = COMMANDS.get(call[1])
    return call[0] if command is None or untold else " ".join([command, *given])


def _option(name: str, value: str) -> str:
    plain = value.strip("[\"']")
    flag = f"--{OPTIONS[name]}"
    return flag if plain == "True" or not plain else f"{flag} {plain}"
