"""The dask graph of a video: blocks that are asked for together are read from front to back.

Left to itself, dask computes equal tasks from last to first, for which a decoder has to be started
anew for every block and decode everything from a key picture on. So when dask culls the graph to
the blocks that are wanted, each of them is made to wait for its *turn*: a task that does nothing,
and follows the turn of the block before. Of blocks computed one by one, none waits for another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from dask.base import tokenize
from dask.highlevelgraph import Layer, MaterializedLayer

__all__ = ["BlockLayer"]

Key: TypeAlias = Any


def _read(source: Any, start: int, stop: int, _: object = None) -> npt.NDArray[np.uint8]:
    block: npt.NDArray[np.uint8] = source.read(start, stop)
    return block


def _turn(*_: object) -> None:
    return None


class BlockLayer(MaterializedLayer):  # type: ignore[misc]
    """Tasks that read blocks of frames.

    Parameters
    ----------
    name : str
        Name of the array.
    source : object
        Has a method ``read(start, stop)``.
    spans : iterable of (int, int)
        First frame of each block, and the frame after its last.
    """

    def __init__(self, name: str, source: Any, spans: Iterable[tuple[int, int]]) -> None:
        self._name = name
        self._source_key = f"{name}-source"
        graph: dict[Key, Any] = {
            (name, index, 0, 0, 0): (_read, self._source_key, start, stop)
            for index, (start, stop) in enumerate(spans)
        }
        super().__init__({self._source_key: source, **graph})

    def cull(
        self, keys: set[Key], all_hlg_keys: Collection[Key]
    ) -> tuple[Layer, Mapping[Key, set[Key]]]:
        """Keep the blocks that are wanted, and put them in a line."""
        blocks = sorted(key for key in keys if key != self._source_key)
        graph = {self._source_key: self.mapping[self._source_key]}
        if len(blocks) == 1:
            graph[blocks[0]] = self.mapping[blocks[0]]
        else:
            graph |= self._in_line(blocks)
        layer = MaterializedLayer(graph, annotations=self.annotations)
        return layer, {key: layer.get_dependencies(key, all_hlg_keys) for key in graph}

    def _in_line(self, blocks: list[Key]) -> dict[Key, Any]:
        line = f"{self._name}-line-{tokenize([block[1] for block in blocks])}"
        before: Key = f"{line}-begin"
        graph: dict[Key, Any] = {before: (_turn,)}
        for block in blocks:
            # A beginning of its own for each block: dask's ordering follows a line from its front
            # where tasks differ in how many beginnings they have, and from its end otherwise.
            beginning, turn = (f"{line}-begin", block[1]), (f"{line}-turn", block[1])
            graph[beginning] = (_turn,)
            graph[turn] = (_turn, beginning, before)
            graph[block] = (*self.mapping[block], turn)
            before = turn
        return graph
