"""Make the goldens of this folder: what each network answers to fixed weights and inputs.

    python tests/goldens/make.py

Run it only while the networks are known to be right; the point of the files is that they do not
change. Weights and inputs are drawn from NumPy generators seeded by names, so none is stored, and
of large outputs only every few values.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from soupxr.models.flow import FLOW_GENERATORS
from soupxr.models.tgmj import TGMJ, windowed_logits
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import MODES

Answers = dict[str, np.ndarray]


def draw(name: str, shape: tuple[int, ...]) -> Tensor:
    """Normal values that belong to a name."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))


def fill(model: nn.Module) -> nn.Module:
    """Weights under which signals neither vanish nor explode, in eval mode."""
    state = model.state_dict()
    for key, value in state.items():
        leaf = key.rpartition(".")[2]
        if leaf == "num_batches_tracked":
            continue
        noise = draw(key, tuple(value.shape))
        if leaf == "running_var":
            noise = 1 + 0.1 * noise.abs()
        elif leaf == "weight" and value.ndim == 1:
            noise = 1 + 0.1 * noise
        elif leaf == "weight":
            gain = 1 if "classifier" in key else 2  # residual blocks add up, plain ones leak
            noise = noise * (gain / value[0].numel()) ** 0.5
        elif leaf in ("bias", "running_mean"):
            noise = 0.1 * noise
        value.copy_(noise)
    model.load_state_dict(state)
    return model.eval()


def windows(mode: str, height: int, width: int) -> Tensor:
    """One window of a coarse picture that drifts, with grain."""
    coarse = draw(f"{mode}/picture", (3, -(-height // 8), -(-width // 8)))
    picture = coarse.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :height, :width]
    frames = torch.stack([picture.roll((t, -2 * t), (1, 2)) for t in range(11)])
    frames = frames + 0.3 * draw(f"{mode}/grain", tuple(frames.shape))
    if MODES[mode].layout == "volume":
        return frames.transpose(0, 1).unsqueeze(0).contiguous()
    return frames.reshape(1, 33, height, width)


def flow(mode: str) -> Answers:
    """Flows of an odd-sized window, thinned."""
    model = fill(FLOW_GENERATORS[MODES[mode].flow_generator](11))
    flows = model(windows(mode, 51, 69))
    return {f"flow{at}": field[..., ::3, ::3].numpy() for at, field in enumerate(flows, 2)}


def two_stream(mode: str) -> Answers:
    """Logits, some features, thinned flow."""
    out = fill(HiddenTwoStream(MODES[mode], 4))(windows(mode, 64, 96))
    return {
        "logits": out.logits.numpy(),
        "spatial_features": out.spatial_features[:, ::8].numpy(),
        "flow_features": out.flow_features[:, ::8].numpy(),
        "flow": out.flows[0][..., ::8, ::8].numpy(),
    }


def sequence() -> Answers:
    """Logits over a recording of two windows and a bit."""
    model = fill(TGMJ(5, 64))
    return {"logits": windowed_logits(model, draw("sequence/features", (367, 64)).relu()).numpy()}


_CASES: dict[str, Callable[[], Answers]] = {
    **{f"flow_{mode}": lambda mode=mode: flow(mode) for mode in MODES},
    **{f"two_stream_{mode}": lambda mode=mode: two_stream(mode) for mode in MODES},
    "sequence": sequence,
}


def cases() -> list[str]:
    """Names of the goldens."""
    return list(_CASES)


@torch.no_grad()
def answers(name: str) -> Answers:
    """What the networks of today answer to one golden."""
    return _CASES[name]()


def main() -> None:
    """Write all goldens beside this script."""
    torch.set_num_threads(1)
    for name in sys.argv[1:] or cases():
        np.savez_compressed(Path(__file__).with_name(f"{name}.npz"), **answers(name))


if __name__ == "__main__":
    main()
