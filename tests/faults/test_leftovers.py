"""Pieces of files that killed processes leave: nobody takes them for what they were to become."""

from __future__ import annotations

from pathlib import Path

from faults import calls
from faults.checker import assert_equal, holdings

from soupxr.store import Store


def test_a_piece_of_labels_is_no_label(lab_of_four):
    before = holdings(lab_of_four / "reach.zarr")
    store, key = Store(calls.address_of(lab_of_four)), calls.KEYS[3]
    chunk = Path(store.address, "annotation/c/0", str(store.slot(key)), "0/0.torn.partial")
    chunk.parent.mkdir(parents=True)
    chunk.write_bytes(b"half a chu")
    assert store.labelled(["Ana"], store.slots(calls.KEYS)).tolist() == [True, True, True, False]
    assert_equal(holdings(store.address), before)


def test_pieces_beside_every_file_change_nothing(lab_of_four):
    before = holdings(lab_of_four / "reach.zarr")
    for path in [path for path in (lab_of_four / "reach.zarr").rglob("*") if path.is_file()]:
        path.with_suffix(".torn.partial").write_bytes(path.read_bytes()[:3])
    assert_equal(holdings(lab_of_four / "reach.zarr"), before)
    calls.add(lab_of_four)
    calls.annotate_over(lab_of_four)
    calls.remove(lab_of_four)
    holdings(lab_of_four / "reach.zarr")
