"""Pickles, followed without running anything.

:class:`Interpreter` knows numbers, strings, containers and tensors. Every other class becomes a
:class:`Foreign`, a record of what the file says about the object. It looks no name up, imports
nothing and calls nothing but the five builders below, so there is nothing for a file to run.

Nor can a file make it work without end. By references, a program of a few hundred bytes describes
lists of lists with more ends than anybody could count, which does no harm until somebody walks
through them all: to write them out, to compare them, to take their hash. So names are text, keys
are short, numbers are of moderate size, and copies are counted.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

# Not at run time: pickles of other programs than PyTorch are followed without it.
if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PROGRAM_BYTES", "Foreign", "Interpreter", "Name", "Storage", "plain"]

#: Longest program (bytes): ten times and more what checkpoints have. Followed to its end, it takes
#: some seconds, and what it makes some sixty times as much memory.
PROGRAM_BYTES = 4 << 20
#: Values that a program may have copied.
MOST_COPIES = 1_000_000
MOST_DIMENSIONS, MOST_BITS, LONGEST_NAME, LONGEST_KEY = 16, 256, 1000, 8


@dataclass(eq=False, repr=False)
class Foreign:
    """An object whose class is not rebuilt: what a file says about it, and nothing alive.

    Parameters
    ----------
    name : str
        ``"module name"`` of the class or function.
    arguments : tuple
        What it would have been called with.
    state : object
        What would have become its attributes.
    items : dict
        What would have been put into it.
    """

    name: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    items: dict[Any, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<{self.name}>"


@dataclass(frozen=True)
class Name:
    """A class or function that a file mentions; never looked up."""

    name: str


@dataclass(frozen=True)
class Storage:
    """Memory that tensors of a file lie in."""

    values: Tensor


def plain(value: Any) -> Any:
    """Turn a configuration into dicts, lists and scalars.

    Parameters
    ----------
    value : object
        From :func:`soupxr.models.unpickle.load`; OmegaConf's containers and leaves are seen
        through.

    Returns
    -------
    object
        None in the place of whatever is not plain, or holds itself.
    """
    return _plain(value, 30, {})


def _plain(value: Any, depth: int, done: dict[int, Any]) -> Any:
    if not isinstance(value, Foreign | dict | list | tuple):
        return value if isinstance(value, str | bool | int | float) else None
    if id(value) in done or depth == 0:
        return done.get(id(value))
    done[id(value)] = None
    flat: Any
    if isinstance(value, Foreign):
        state = value.state if isinstance(value.state, dict) else {}
        flat = _plain(state.get("_content", state.get("_val")), depth - 1, done)
    elif isinstance(value, dict):
        flat = {key: _plain(entry, depth - 1, done) for key, entry in value.items()}
    else:
        flat = [_plain(entry, depth - 1, done) for entry in value]
    done[id(value)] = flat
    return flat


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    if not isinstance(storage, Storage):
        raise ValueError("a tensor without memory")
    flat = storage.values
    if not isinstance(size, tuple) or len(size) > MOST_DIMENSIONS:
        raise ValueError("a tensor without a shape")
    count = 1
    for length in size:
        count *= length
    if count > len(flat):
        raise ValueError(f"a tensor of shape {tuple(size)} in memory for {len(flat)} values")
    return flat.as_strided(tuple(size), tuple(stride), offset)


def _ordered_dict(items: Any = ()) -> dict[Any, Any]:
    pairs = [(key, value) for key, value in items]
    _check_keys(key for key, _ in pairs)
    return dict(pairs)


_BUILDERS: dict[str, Callable[..., Any]] = {
    "collections OrderedDict": _ordered_dict,
    "torch Size": lambda size=(): tuple(size),
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_parameter": lambda data, *_: data,
    "torch._utils _rebuild_parameter_with_state": lambda data, *_: data,
}

_PUSH = frozenset(
    opcode.name
    for opcode in pickletools.opcodes
    if opcode.arg is not None
    and not opcode.stack_before
    and opcode.stack_after
    and opcode.stack_after != [pickletools.anyobject]
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_FROM_MARK: dict[str, Callable[[list[Any]], Any]] = {
    "LIST": list,
    "TUPLE": tuple,
    "FROZENSET": lambda values: frozenset(_checked(values)),
    "DICT": lambda values: dict(_pairs(values)),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_GET = frozenset(("GET", "BINGET", "LONG_BINGET"))
_PUT = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_IGNORED = frozenset(("PROTO", "FRAME"))


def _pairs(values: list[Any]) -> list[tuple[Any, Any]]:
    _check_keys(values[::2])
    return list(zip(values[::2], values[1::2], strict=True))


def _check_keys(keys: Iterable[Any]) -> None:
    """Refuse keys whose hash would take long."""
    for key in keys:
        parts = key if isinstance(key, tuple) else ()
        if len(parts) > LONGEST_KEY or any(isinstance(p, tuple | frozenset) for p in parts):
            raise ValueError("a key that is too long")


def _checked(values: list[Any]) -> list[Any]:
    _check_keys(values)
    return values


def _joined(module: Any, name: Any) -> Name:
    if not (isinstance(module, str) and isinstance(name, str)):
        raise ValueError("a name that is not text")
    return _name(f"{module[:LONGEST_NAME]} {name[:LONGEST_NAME]}")


def _name(text: str) -> Name:
    if len(text) > LONGEST_NAME:
        raise ValueError("a name that is too long")
    return Name(text)


class Interpreter:
    """Follows one pickle program; what it can do stands in this class and nowhere else.

    Parameters
    ----------
    storage : callable
        From torch's identifier of a piece of tensor memory to that memory.
    """

    def __init__(self, storage: Callable[[Any], Storage]) -> None:
        self.storage = storage
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[Any, Any] = {}
        self.copies = 0

    def run(self, program: Any) -> Any:
        """Follow a program to its end and return what it made."""
        for opcode, argument, _ in pickletools.genops(program):
            name = opcode.name
            if name == "STOP":
                return self.stack.pop()
            if name in _IGNORED:
                continue
            if name in _PUSH:
                if isinstance(argument, int) and argument.bit_length() > MOST_BITS:
                    raise ValueError("a number that is too large")
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _EMPTY:
                self.stack.append(_EMPTY[name]())
            elif name in _FROM_MARK:
                self.stack.append(_FROM_MARK[name](self._since_mark()))
            elif name in _TUPLES:
                self._fold(_TUPLES[name])
            elif name in _GET:
                self.stack.append(self.memo[argument])
            elif name in _PUT:
                self.memo[argument] = self.stack[-1]
            else:
                self._step(name, argument)
        raise EOFError("the pickle has no end")

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "MARK":
                self.marks.append(len(stack))
            case "POP":
                stack.pop()
            case "POP_MARK":
                self._since_mark()
            case "DUP":
                stack.append(stack[-1])
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "APPEND":
                self._extend([stack.pop()])
            case "APPENDS" | "ADDITEMS":
                self._extend(self._since_mark())
            case "SETITEM":
                self._set([stack.pop(-2), stack.pop()])
            case "SETITEMS":
                self._set(self._since_mark())
            case "GLOBAL":
                stack.append(_name(argument))
            case "STACK_GLOBAL":
                stack.append(_joined(stack.pop(-2), stack.pop()))
            case "REDUCE" | "NEWOBJ":
                self._make(stack.pop(-2), stack.pop())
            case "NEWOBJ_EX":
                stack.pop()
                self._make(stack.pop(-2), stack.pop())
            case "OBJ":
                made_of = self._since_mark()
                self._make(made_of[0], tuple(made_of[1:]))
            case "INST":
                self._make(_name(argument), tuple(self._since_mark()))
            case "BUILD":
                state = stack.pop()
                if isinstance(stack[-1], Foreign):
                    stack[-1].state = state
            case "BINPERSID":
                stack.append(self.storage(stack.pop()))
            case _:
                raise ValueError(f"opcode {name}, which PyTorch never writes")

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _fold(self, count: int) -> None:
        if len(self.stack) < count:
            raise IndexError("the pickle's stack is empty")
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def _extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, set):
            target.update(_checked(values))
        elif isinstance(target, Foreign):
            target.items.update(enumerate(values, start=len(target.items)))
        else:
            raise ValueError("something is appended to what is not a list")

    def _set(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Foreign):
            target = target.items
        if not isinstance(target, dict):
            raise ValueError("an item is set in what is not a mapping")
        target.update(_pairs(values))

    def _make(self, what: Any, arguments: Any) -> None:
        if not isinstance(arguments, tuple):
            raise ValueError("arguments that are not a tuple")
        name = what.name if isinstance(what, Name | Foreign) else "unknown"
        builder = _BUILDERS.get(name) if isinstance(what, Name) else None
        if builder:
            self.copies += sum(
                len(one) for one in arguments if isinstance(one, list | tuple | dict)
            )
            if self.copies > MOST_COPIES:
                raise ValueError("a program that copies without end")
        self.stack.append(builder(*arguments) if builder else Foreign(name, arguments))
