"""Labels from Python, two raters, what both say, and a viewer to talk it over.

.venv/bin/python examples/03_clean_and_compare.py [--quick]
"""

# %%
import sys
import tempfile
from pathlib import Path

import numpy as np

import soupxr as sx
from soupxr.synthetic import write_dataset

QUICK = "--quick" in sys.argv
folder = Path(tempfile.mkdtemp(prefix="soupxr-"))
truth = write_dataset(
    folder / "videos",
    animals=["M1", "M2"],
    trials=2,
    n_frames=120 if QUICK else 300,
    fps=100.0,
    **({"height": 64, "width": 64} if QUICK else {}),
)
ds = sx.create(folder / "reach.zarr", data_root=folder / "videos")
for animal in ("M1", "M2"):
    ds = ds.soup.add_item(animal)

# %% [markdown]
# ## Two raters
#
# Ana sees everything as it was. Ben is a frame late, and does not take the last chewing of
# each trial for chewing.

# %%
ds = ds.soup.annotate(truth, annotator="Ana", trials="selected")

late = truth.copy()
lengths = ds.soup.trials.set_index(["animal", "session", "trial_id"]).n_frames
ends = lengths.loc[list(map(tuple, late[["animal", "session", "trial_id"]].values))].to_numpy()
late["start"] = np.minimum(late["start"] + 1, ends - 1)
late["stop"] = np.minimum(late["stop"] + 1, ends)
chewing = late[late.behavior == "chew"]
last = chewing.groupby(["animal", "session", "trial_id"]).start.idxmax()
ds = ds.soup.annotate(late.drop(index=last), annotator="Ben", trials="selected")

# %% [markdown]
# ## How far do they agree?

# %%
agreement = ds.soup.evaluate("Ben", annotator="Ana")
columns = ["kappa", "f1", "bout_f1", "onset_error", "n_frames"]
print(agreement[columns].to_dataframe().round(2))

# %% [markdown]
# ## What both say
#
# Where they differ stays unlabelled: nothing is learnt from it, and nothing judged by it.

# %%
ana, ben = (ds.annotation.sel(annotator=name).load() for name in ("Ana", "Ben"))
both = ana.where(ana == ben, -1).astype("int8").drop_vars("annotator")
ds = ds.soup.annotate(both, annotator="both")
open_questions = (ana != ben).any("behavior").sum("frame")
print(open_questions.to_series().rename("frames to talk over"))

# %% [markdown]
# ## Clean from Python
#
# Bouts of less than five frames are a slip of the finger. `overwrite=True`, for these labels are
# there already.

# %%
bouts = ds.soup.bouts(annotator="Ben")
kept = bouts[bouts.stop - bouts.start >= 5]
ds = ds.soup.annotate(kept, annotator="Ben", trials="selected", overwrite=True)
print(f"Ben: {len(bouts)} bouts, {len(kept)} of them kept")

# %% [markdown]
# ## Beside the video
#
# In a notebook these display by themselves. In a script, `.show()` serves them on this machine and
# opens the browser; that is left out here.

# %%
comparison = ds.soup.compare_ethograms(annotators=["Ana", "Ben"])
cleaning = ds.soup.clean_ethograms(source="both", annotator="agreed")
for viewer in (comparison, cleaning):
    print(viewer)

# %% [markdown]
# What is on the page can be asked for and set.

# %%
cleaning.frame = 10
print(cleaning.selection, cleaning.frame)
