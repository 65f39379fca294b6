"""The people of ``soak.py``: what each process does, again and again, until it is told to end."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import soupxr as sx
from soupxr.inference.provenance import Record
from soupxr.modes import BEHAVIORS
from soupxr.store import Store, TrialResults

__all__ = ["ROLES", "Place", "labels_of", "read_journal"]

Mask = npt.NDArray[np.int8]
N_FRAMES = 60
VIEWS = ("side", "front")
#: Animals that stay; those whose names begin with T come and go.
KEPT = 12
FILMS = 4


class Place:
    """Where everything is.

    Parameters
    ----------
    folder : Path
        Holds the store, the videos, films to copy from, checkpoints and journals.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = folder / "reach.zarr"
        self.videos = folder / "videos"
        self.films = folder / "films"
        self.models = {
            f"{name}_model_in": folder / f"{name}.ckpt" for name in ("feature", "sequence")
        }
        self.journals = folder / "journals"
        self.end = folder / "end"

    @property
    def goes_on(self) -> bool:
        """Whether nobody has said that it is over."""
        return not self.end.exists()

    def put_films(self, animal: str, trials: int) -> None:
        """Give an animal its videos; which film a trial gets follows from its name."""
        folder = self.videos / animal / "S1"
        folder.mkdir(parents=True, exist_ok=True)
        for trial in range(1, trials + 1):
            for view in VIEWS:
                film = self.films / f"{film_of(animal, trial)}_{view}.mp4"
                shutil.copyfile(film, folder / f"reach_{view}_v{trial:03d}.mp4")


def film_of(animal: str, trial: int) -> int:
    """Which of the films a trial shows."""
    return (int(animal[1:]) + trial) % FILMS


def labels_of(seed: int) -> Mask:
    """Labels of a trial, as a person might draw them."""
    draw = np.random.default_rng(seed)
    mask = np.zeros((N_FRAMES, len(BEHAVIORS)), np.int8)
    for behavior in range(len(BEHAVIORS)):
        start = int(draw.integers(0, N_FRAMES - 10))
        mask[start : start + 10, behavior] = 1
    mask[: int(draw.integers(0, 20))] = -1
    return mask


class Journal:
    """What a process did, line by line, so that it is known when it is killed.

    Parameters
    ----------
    place : Place
        Where the journals are.
    name : str
        The process's own.
    """

    def __init__(self, place: Place, name: str) -> None:
        place.journals.mkdir(exist_ok=True)
        self._file = (place.journals / f"{name}.jsonl").open("a", buffering=1)

    def say(self, event: str, **facts: Any) -> None:
        """Write a line."""
        self._file.write(json.dumps({"time": time.time(), "event": event, **facts}) + "\n")


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Lines of a journal; the last may be half written."""
    for line in path.read_text().splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


# ------------------------------------------------------------------ what each does


def add(place: Place, name: str, draw: random.Random) -> None:
    """Animals come; some go again; some have broken videos and must be refused."""
    journal = Journal(place, name)
    number = os.getpid() * 1000
    for kept in range(KEPT):
        with contextlib.suppress(sx.IngestError, sx.StoreError):  # there before it was killed
            place.put_films(f"K{kept}", 2)
            sx.open(place.store).soup.add_item(f"K{kept}")
            journal.say("added", animal=f"K{kept}")
    while place.goes_on:
        number += 1
        animal = f"T{number}"
        place.put_films(animal, 2)
        if draw.random() < 0.2:
            _break_video(place.videos / animal / "S1" / "reach_side_v001.mp4", draw)
            try:
                sx.open(place.store).soup.add_item(animal)
                journal.say("accepted a broken video", animal=animal)
            except sx.IngestError:
                journal.say("refused", animal=animal)
        else:
            sx.open(place.store).soup.add_item(animal)
            journal.say("added", animal=animal)
            time.sleep(draw.uniform(0, 3))
            # Trials may be at work in another process at this moment.
            sx.open(place.store).soup.remove_item(animal)
            journal.say("removed", animal=animal)
        shutil.rmtree(place.videos / animal, ignore_errors=True)


def _break_video(path: Path, draw: random.Random) -> None:
    data = path.read_bytes()
    kind = draw.randrange(3)
    if kind == 0:
        data = b""
    elif kind == 1:
        data = data[: draw.randrange(40, len(data) // 4)]
    else:
        data = draw.randbytes(len(data))
    path.write_bytes(data)


def infer(place: Place, name: str, draw: random.Random) -> None:
    """Networks over whatever is not done; now and then over an animal that is."""
    journal = Journal(place, name)
    while place.goes_on:
        ds = sx.open(place.store)
        again = draw.random() < 0.5
        if again and ds.sizes["trial"]:
            ds = ds.isel(trial=[draw.randrange(ds.sizes["trial"])])
        try:
            ds.soup.infer("fast", **place.models, overwrite=again, errors="warn", features="none")
            journal.say("inferred", trials=ds.sizes["trial"])
        except sx.StoreError as error:  # a trial was removed between opening and beginning
            journal.say("was told", error=str(error))
        time.sleep(0.2)


def stand_in(place: Place, name: str, draw: random.Random) -> None:
    """Results of another mode, made up, at the speed at which the store takes them."""
    journal = Journal(place, name)
    while place.goes_on:
        keys = [key for key in Store(str(place.store)).slot_of_each_key() if key[0] == "K"]
        for key in draw.sample(keys, len(keys)):
            seed = draw.randrange(2**31)
            probability = np.full((N_FRAMES, len(BEHAVIORS)), seed % 997 / 997, np.float32)
            ethogram = labels_of(seed).clip(0)
            journal.say("writes", key=key, seed=seed)
            made = Record(sequence={"identity": {"seed": seed}, "features": {}}).dump()
            try:
                TrialResults(Store(str(place.store)), "medium", key).commit(
                    probability, ethogram, made
                )
                journal.say("wrote", key=key, seed=seed)
            except sx.StoreError as error:
                journal.say("was told", error=str(error))
            time.sleep(0.02)


def annotate(place: Place, name: str, draw: random.Random) -> None:
    """A person who labels, and looks whether it is there."""
    journal = Journal(place, name)
    while place.goes_on:
        ds = sx.open(place.store)
        kept = ds.isel(trial=[str(animal).startswith("K") for animal in ds.animal.values])
        if not kept.sizes["trial"]:
            time.sleep(0.5)
            continue
        one = kept.isel(trial=draw.randrange(kept.sizes["trial"]))
        key = f"{one.animal.item()}/{one.session.item()}/{one.trial_id.item()}"
        seed = draw.randrange(2**31)
        journal.say("writes", key=key, seed=seed)
        one.soup.annotate(labels_of(seed), annotator=name, overwrite=True)
        journal.say("wrote", key=key, seed=seed)
        found = sx.open(place.store).sel(
            animal=one.animal.item(), session="S1", trial_id=one.trial_id.item()
        )
        labels = found.annotation.sel(annotator=name).values[:N_FRAMES]
        if not np.array_equal(labels, labels_of(seed)):
            journal.say("other labels were there", key=key, seed=seed)
        time.sleep(draw.uniform(0, 0.3))


def view(place: Place, name: str, draw: random.Random) -> None:
    """A page that is opened, looked through, and closed."""
    from playwright.sync_api import sync_playwright

    journal = Journal(place, name)
    path = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        while place.goes_on:
            if not sx.open(place.store).sizes["trial"]:
                time.sleep(0.5)
                continue
            viewer = sx.open(place.store).soup.view(mode="fast")
            server = viewer.show(open_browser=False, wait=False)
            page = browser.new_page()
            try:
                page.goto(server.url)
                page.wait_for_selector("[data-ready=true]", timeout=600_000)
                for _ in range(20):
                    page.keyboard.press(draw.choice(["ArrowRight", "Shift+ArrowRight", "N", "q"]))
                    page.wait_for_timeout(100)
                journal.say("looked")
            finally:
                page.close()
                server.stop()


#: What a process does, by its role.
ROLES: dict[str, Callable[[Place, str, random.Random], None]] = {
    "add": add,
    "infer": infer,
    "stand_in": stand_in,
    "annotate": annotate,
    "view": view,
}


def work(role: str, name: str, folder: str, seed: int) -> None:
    """Be one of them; called in a process of its own."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if role != "view":
        os.nice(5)  # a page that nothing is drawn on shows nothing
    sx.set_options(progress=False)
    warnings.simplefilter("ignore", sx.SoupWarning)
    place = Place(Path(folder))
    try:
        ROLES[role](place, name, random.Random(seed))
    except Exception as error:
        Journal(place, name).say("broke", error=f"{type(error).__name__}: {error}")
        raise
