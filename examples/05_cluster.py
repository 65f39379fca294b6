"""Several processes share the trials of a run; on a cluster, it is the same call.

    .venv/bin/python examples/05_cluster.py [--quick]

Needs ``pip install distributed``. Worker processes import a script anew, so what it does
stands in ``main``, as with everything that starts processes in Python. In a notebook that is not
needed.
"""

# %%
import json
import sys
import tempfile
from pathlib import Path

import soupxr as sx
from soupxr.synthetic import write_dataset

QUICK = "--quick" in sys.argv


# %% [markdown]
# ## A store with some trials
#
# Store, videos and checkpoints must be visible to all workers under the same paths.


# %%
def prepare(folder: Path):
    """Rendered trials of two animals and, if it must be quick, toy networks."""
    truth = write_dataset(
        folder / "videos",
        animals=["M1", "M2"],
        trials=2 if QUICK else 4,
        n_frames=40 if QUICK else 300,
        **({"height": 64, "width": 64} if QUICK else {}),
    )
    ds = sx.create(folder / "reach.zarr", data_root=folder / "videos")
    for animal in ("M1", "M2"):
        ds = ds.soup.add_item(animal, experiment="table")
    ds = ds.soup.annotate(truth, annotator="truth", trials="selected")
    if QUICK:
        from _toys import train_toys

        ds = train_toys(ds, folder / "models", "truth")
    return ds


# %% [markdown]
# ## The run
#
# With `Client("tcp://scheduler:8786")` in place of `sx.local_client`, it runs on a cluster. A
# worker that dies loses nothing; two runs on one store share its trials.


# %%
def main() -> None:
    """Infer on two worker processes, and say who did what."""
    folder = Path(tempfile.mkdtemp(prefix="soupxr-"))
    ds = prepare(folder)
    log = folder / "run.jsonl"
    with sx.local_client(workers=2) as client:
        ds = ds.soup.infer(mode="fast", client=client, log=log)
    print(ds.soup)
    for line in log.read_text(encoding="utf-8").splitlines():
        print({key: value for key, value in json.loads(line).items() if key != "options"})


if __name__ == "__main__":
    main()
