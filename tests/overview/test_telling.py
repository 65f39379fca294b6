"""What ``ds.soup`` says of itself."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

import soupxr as sx
import soupxr.synthetic
from soupxr.overview.telling import MOST_ANIMALS


def label(ds, annotator: str):
    """Everything that is selected, as absent."""
    shape = (ds.sizes["trial"], int(ds.n_frames.max()), ds.sizes["behavior"])
    labels = ds.annotation.isel(annotator=0) if ds.sizes["annotator"] else ds.ethogram.isel(mode=0)
    labels = labels.reset_coords(drop=True).isel(frame=slice(shape[1]))
    return ds.soup.annotate(labels.copy(data=np.zeros(shape, np.int8)), annotator=annotator)


def test_tells_what_there_is_and_proposes_to_infer(new_store):
    ds = new_store("M1/S1/1", "M1/S2/1", "M2/S1/1")
    told = repr(ds.soup)
    for part in (
        ds.attrs["soupxr_store"],
        "3 (36 frames, 0.4 s; 2 animals)",
        "chew",
        "side, front",
    ):
        assert part in told
    assert 'next       ds = ds.soup.infer(mode="fast")' in told
    assert "nothing inferred yet" in told


def test_an_empty_store_asks_for_an_animal(tmp_path):
    (tmp_path / "videos").mkdir()
    ds = sx.create(tmp_path / "reach.zarr", tmp_path / "videos")
    assert 'ds.soup.add_item("<animal>")' in repr(ds.soup)
    assert "add_item" in ds.soup._repr_html_()


def test_a_selection_says_of_how_many(new_store):
    ds = new_store("M1/S1/1", "M1/S1/2", "M2/S1/1")
    assert "1 of 3 (12 frames" in repr(ds.sel(animal="M1", session="S1", trial_id=2).soup)
    assert "0 of 3" in repr(ds.isel(trial=[]).soup)


def test_failures_and_what_is_left_come_first(new_store, models, tmp_path):
    ds = new_store("M1/S1/1", "M1/S1/2", "M2/S1/1")
    (tmp_path / "videos" / "M2" / "S1" / "reach_front_v001.mp4").unlink()
    with pytest.warns(sx.SoupWarning):
        ds.soup.infer("fast", errors="warn", **models())
    told = repr(ds.soup)
    assert "fast       2 complete, 1 failed" in told
    first, second = re.findall(r"ds\S* ?=? ?\S+\(.*?  #.*$", told, re.MULTILINE)[:2]
    assert first == 'ds.error.sel(mode="fast").values  # why 1 trial failed'
    assert second == 'ds = ds.soup.infer(mode="fast")  # goes on: 1 trial left'
    assert "medium     nothing inferred yet" in told
    assert 'infer(mode="medium")' not in told
    page = parsed(ds.soup._repr_html_()).text
    for part in ("2 complete", "1 failed", "fast", "medium", "lift, handopen, grab", first, "Next"):
        assert part.partition("  #")[0] in page


def test_with_labels_it_proposes_to_evaluate(new_store, models):
    ds = new_store("M1/S1/1", "M1/S1/2").soup.infer("fast", **models())
    assert "clean_ethograms" in repr(ds.soup)
    label(ds.isel(trial=[0]), "Ana")
    told = repr(sx.open(ds.attrs["soupxr_store"]).soup)
    assert "labelled   1 trial by Ana" in told
    assert "ds.soup.evaluate('fast', 'Ana')" in told


class Parts(HTMLParser):
    """Tags that are open, all tags, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def parsed(page: str) -> Parts:
    parts = Parts()
    parts.feed(page)
    assert not parts.open
    return parts


def test_the_page_fetches_nothing_and_escapes_what_people_typed(new_store):
    ds = label(new_store("M1/S1/1"), "<script>alert(1)</script> & Ana")
    page = ds.soup._repr_html_()
    found = parsed(page)
    assert not {"script", "link", "img", "iframe"} & set(found.tags)
    assert "http" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert "<script>alert(1)</script> & Ana" in found.text


def test_the_page_has_a_row_for_each_animal(new_store):
    n_animals = MOST_ANIMALS + 2
    ds = new_store(*(f"M{number:02d}/S1/1" for number in range(n_animals)))
    text = parsed(ds.soup._repr_html_()).text
    assert "M00" in text
    assert f"M{MOST_ANIMALS - 1:02d}" in text
    assert f"M{MOST_ANIMALS:02d}" not in text
    assert "and 2 more" in text


def test_a_dataset_without_a_store_says_so(new_store):
    ds = new_store("M1/S1/1")
    ds.attrs.clear()
    assert "does not know its store" in repr(ds.soup)
    assert "does not know its store" in ds.soup._repr_html_()


FORMATS = ("animal_soup", "boris", "deepethogram", "film", "jaaba", "nwb", "tables")


def test_tab_offers_public_names_only_of_modules():
    formats = [getattr(sx.io, name) for name in FORMATS]
    for module in (sx, sx.io, sx.analysis, soupxr.synthetic, *formats):
        assert dir(module) == sorted(module.__all__), module.__name__
        assert all(hasattr(module, name) for name in dir(module))
    assert dir(sx.io.boris) == ["behaviors", "read", "write"]
    assert {*FORMATS, "ImportReport"} == set(dir(sx.io))


def test_tab_offers_public_names_only(new_store):
    soup = new_store("M1/S1/1").soup
    for one in (soup, soup.flow_generator, soup.feature_extractor, soup.sequence):
        assert dir(one)
        assert not [name for name in dir(one) if name.startswith("_")]
        for name in dir(one):
            assert hasattr(type(one), name)
    assert {"infer", "trials", "view", "sequence"} <= set(dir(soup))
    viewer = soup.view()
    assert set(dir(viewer)) == {
        *("selection", "frame", "behavior", "region", "ethogram", "save", "show", "panel")
    }
    assert dir(soup.flow_generator) == ["train"]
    assert repr(soup.sequence) == "Sequence model of the selected trials: .infer(…), .train(…)"
