"""Projects as DeepEthogram makes them."""

import csv

import h5py
import numpy as np
import yaml

CLASSES = ["background", "walk", "groom"]
NAMES = ("m1_a", "m2_a")


def make(folder, film, n_frames, names=NAMES):
    """A project of some videos, with statistics and a checkpoint."""
    config = {
        "project": {
            "class_names": CLASSES,
            "config_file": "project_config.yaml",
            "data_path": "DATA",
            "labeler": "jim",
            "model_path": "models",
            "name": "mice",
        },
        "augs": {"normalization": {"N": 10, "mean": [0.1, 0.2, 0.3], "std": [0.2, 0.2, 0.2]}},
    }
    (folder / "models" / "run").mkdir(parents=True)
    (folder / "models" / "run" / "checkpoint.pt").write_bytes(b"weights")
    (folder / "project_config.yaml").write_text(yaml.safe_dump(config))
    for name in names:
        film(folder / "DATA" / name / f"{name}.mp4", n_frames=n_frames)
        (folder / "DATA" / name / "stats.yaml").write_text("normalization: {}\n")
    return folder


def put_labels(project, name, mask, names=CLASSES):
    path = project / "DATA" / name / f"{name}_labels.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["", *names])
        rows.writerows([n, *row] for n, row in enumerate(mask.tolist()))
    return path


def put_outputs(
    project, name, probability, groups=("resnet18", "tgmj"), thresholds=(0.5, 0.6, 0.3)
):
    path = project / "DATA" / name / f"{name}_outputs.h5"
    with h5py.File(path, "w") as file:
        for place, group in enumerate(groups):
            entry = file.create_group(group)
            # Only the last group has what the test looks for.
            values = probability if place == len(groups) - 1 else 1 - probability
            entry["P"] = values.astype(np.float32)
            entry["logits"] = np.zeros_like(values, dtype=np.float32)
            entry["thresholds"] = np.array(thresholds, np.float32)
            entry.create_dataset("class_names", data=CLASSES, dtype=h5py.string_dtype())
            if group.startswith("resnet"):
                entry["spatial_features"] = np.zeros((len(values), 512), np.float32)
                entry["flow_features"] = np.zeros((len(values), 512), np.float32)
    return path
