"""A few optimisation steps of every network: losses and gradients against goldens."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from soupxr.models.flow import TinyMotionNet
from soupxr.models.tgmj import TGMJ
from soupxr.models.two_stream import HiddenTwoStream
from soupxr.modes import MODES
from soupxr.training.losses import FlowLoss, FocalLoss, softmax_loss
from soupxr.training.penalty import ParameterPenalty


def load_weights(
    recipe: ModuleType, model: nn.Module, spec: Any, entries: str, ties: str | None = None
) -> None:
    fixture = {"salt": spec["salt"], "state_dict": spec[entries]}
    fixture["ties"] = {} if ties is None else spec[ties]
    weights = recipe.make_weights(fixture)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})


def windows(recipe: ModuleType, golden: Any) -> Tensor:
    """Clips (n, h, w, 3) of uint8 as stacked windows."""
    clips = np.stack([recipe.make_input(entry) for entry in golden["batch"]]) / np.float32(255)
    normal = (clips - np.float32(golden["mean"])) / np.float32(golden["std"])
    return torch.from_numpy(normal.transpose(0, 1, 4, 2, 3).astype(np.float32)).flatten(1, 2)


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, step: Callable[[], Tensor], steps: int
) -> tuple[list[float], dict[str, float | None]]:
    """Losses of every step, and the gradients' norms at the first."""
    losses, norms = [], {}
    for i in range(steps):
        optimizer.zero_grad()
        loss = step()
        loss.backward()
        if i == 0:
            for name, parameter in model.named_parameters():
                gradient = parameter.grad
                norms[name] = None if gradient is None else gradient.norm().item()
        optimizer.step()
        losses.append(loss.item())
    return losses, norms


def compare(golden: Any, losses: list[float], norms: dict[str, float | None]) -> None:
    """Tolerances are those that the golden states."""
    assert losses[0] == pytest.approx(golden["losses"][0], rel=1e-4)
    assert losses == pytest.approx(golden["losses"], rel=1e-3)
    for name, norm in golden["gradient_norms_first_step"].items():
        # What is not used has no gradient here and a zero one there, or the other way round.
        assert (norms[name] or 0.0) == pytest.approx(norm or 0.0, rel=1e-3, abs=1e-5), name


def test_flow_generator(recipe: ModuleType) -> None:
    spec, _ = recipe.load("training_steps")
    golden = spec["results"]["flow"]
    model = TinyMotionNet().train()
    load_weights(recipe, model, spec, "flow_state_dict")
    batch = windows(recipe, golden)
    loss, penalty = FlowLoss(golden["mean"], golden["std"]), ParameterPenalty(1e-3)
    wanted = spec["results"]["flow_reg_loss_first"]
    assert penalty(model).item() == pytest.approx(wanted, rel=1e-4)

    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    losses, norms = train(
        model,
        optimizer,
        lambda: loss(batch, model(batch)).total + penalty(model),
        len(golden["losses"]),
    )
    compare(golden, losses, norms)
    mean = model.conv1[1].running_mean[:8]
    np.testing.assert_allclose(mean, golden["running_mean_conv1_after"], rtol=1e-3, atol=1e-5)


def test_sequence_model(recipe: ModuleType) -> None:
    spec, arrays = recipe.load("training_steps")
    golden = spec["results"]["sequence"]
    model = TGMJ(4, 64, input_dropout=0.0, dropout=0.0).train()
    load_weights(recipe, model, spec, "sequence_state_dict", "sequence_ties")
    features = torch.from_numpy(recipe.make_input(golden["features"]))
    labels = torch.from_numpy(arrays["sequence_labels"])
    loss = FocalLoss(
        torch.tensor(golden["pos_weight"]),
        gamma=golden["gamma"],
        label_smoothing=golden["label_smoothing"],
    )
    penalty = ParameterPenalty(0.01)
    data_losses = []

    def step() -> Tensor:
        data = loss(model(features), labels)
        data_losses.append(data.item())
        return data + penalty(model)

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    compare(golden, *train(model, optimizer, step, len(golden["losses"])))
    assert data_losses == pytest.approx(golden["data_losses"], rel=1e-3)


def test_feature_extractor(recipe: ModuleType) -> None:
    spec, _ = recipe.load("training_steps")
    golden = spec["results"]["feature_extractor_fast"]
    model = HiddenTwoStream(MODES["fast"], golden["num_classes"], dropout=0.0).train()
    load_weights(recipe, model, spec, "feature_extractor_state_dict")
    frozen = {name: value.clone() for name, value in model.flow_generator.state_dict().items()}
    batch, labels = windows(recipe, golden), torch.tensor(golden["labels"])
    loss = FocalLoss(
        torch.tensor(golden["pos_weight"]),
        gamma=golden["gamma"],
        label_smoothing=golden["label_smoothing"],
    )
    penalty = ParameterPenalty(1e-5)
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    losses, norms = train(
        model,
        torch.optim.SGD(trainable, lr=1e-3),
        lambda: loss(model(batch).logits, labels) + penalty(model),
        len(golden["losses"]),
    )
    compare(golden, losses, norms)
    with_gradient = sum(norm is not None for norm in norms.values())
    assert with_gradient == golden["parameters_with_gradient"]
    for name, value in model.flow_generator.state_dict().items():
        assert torch.equal(value, frozen[name]), name


# ---------------------------------------------------------------- without goldens
def falls(losses: list[float]) -> bool:
    return losses[-1] < 0.9 * losses[0]


def test_flow_generator_learns() -> None:
    torch.manual_seed(0)
    picture = nn.functional.avg_pool2d(torch.rand(2, 3, 32, 32), 5, 1, 2)
    batch = torch.cat([picture.roll(i, dims=-1) for i in range(3)], dim=1) * 4 - 2
    model, loss = TinyMotionNet(window=3).train(), FlowLoss([0.5] * 3, [0.25] * 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses, _ = train(model, optimizer, lambda: loss(batch, model(batch)).total, 8)
    assert falls(losses)


@pytest.mark.parametrize("softmax", [False, True])
def test_sequence_model_learns(softmax: bool) -> None:
    torch.manual_seed(0)
    truth = torch.randint(0, 3, (2, 40))
    features = nn.functional.one_hot(truth, 3).mT.float().repeat(1, 4, 1)
    model = TGMJ(3, 12, input_dropout=0.0, dropout=0.0).train()
    if softmax:
        loss, labels = softmax_loss, truth
    else:
        loss, labels = FocalLoss(), nn.functional.one_hot(truth, 3).mT
    labels = labels.clone()
    labels[..., 30:] = -1
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses, _ = train(model, optimizer, lambda: loss(model(features), labels), 8)
    assert falls(losses)
