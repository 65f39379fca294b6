"""The penalty on parameters that training adds to a loss; torch alone."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from soupxr.errors import ArgumentError, expected

__all__ = ["ParameterPenalty", "bare_name", "decayed_parameters"]

#: What wrappers (Lightning, multi-GPU, torch.compile) put in front of names.
WRAPPERS = ("model.", "module.", "_orig_mod.")
#: Parts of names that exempt a parameter from the penalty.
EXEMPT = ("batchnorm", "bn", "bias")


def bare_name(name: str) -> str:
    """Name of a weight without what wrappers put in front of it."""
    while name.startswith(WRAPPERS):
        name = name.partition(".")[2]
    return name


def decayed_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that the penalty concerns, by bare name.

    Trainable ones of more than one axis whose name speaks of neither batch norm nor bias.
    """
    return {
        bare_name(name): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and _is_decayed(name, parameter)
    }


def _is_decayed(name: str, parameter: Tensor) -> bool:
    return parameter.ndim > 1 and not any(part in name.lower() for part in EXEMPT)


class ParameterPenalty(nn.Module):
    """Keep weights small, or near those that training starts from (L2-SP, Li et al. 2018).

    Half the weighted sum of squares of :func:`decayed_parameters`.

    Parameters
    ----------
    weight : float
        For parameters that are drawn to zero (the β of L2-SP, the α of plain L2).
    pretrained : mapping of str to Tensor, optional
        State dict that training starts from; wrappers' prefixes do not matter. Parameters that
        have an equal name and shape there are drawn to their value there, the others to zero.
    pretrained_weight : float, default 1e-5
        For the former (the α of L2-SP).
    model : Module, optional
        What will be trained; needed with ``pretrained``.

    Raises
    ------
    ArgumentError
        If nothing in ``pretrained`` fits the model.
    """

    def __init__(
        self,
        weight: float,
        *,
        pretrained: Mapping[str, Tensor] | None = None,
        pretrained_weight: float = 1e-5,
        model: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.weight = weight
        self.pretrained_weight = pretrained_weight
        self._anchors: dict[str, str] = {}
        if pretrained is not None:
            self._keep_anchors(pretrained, model)

    def forward(self, model: nn.Module) -> Tensor:
        """Penalty on the model as it stands, a scalar on its device."""
        near, small = [], []
        for name, parameter in decayed_parameters(model).items():
            if name in self._anchors:
                anchor: Tensor = self.get_buffer(self._anchors[name])
                near.append((parameter - anchor).square().sum())
            else:
                small.append(parameter.square().sum())
        total = torch.zeros((), device=next(model.parameters()).device)
        for weight, squares in ((self.pretrained_weight, near), (self.weight, small)):
            if squares:
                total = total + 0.5 * weight * torch.stack(squares).sum()
        return total

    def _keep_anchors(self, pretrained: Mapping[str, Tensor], model: nn.Module | None) -> None:
        if model is None:
            raise ArgumentError(expected("model", "the model to train, with pretrained=", model))
        stored = {bare_name(name): tensor for name, tensor in pretrained.items()}
        for name, parameter in model.named_parameters():
            bare = bare_name(name)
            tensor = stored.get(bare)
            if tensor is None or tensor.shape != parameter.shape:
                continue
            if _is_decayed(name, parameter):
                self._anchors[bare] = f"anchor{len(self._anchors)}"
                anchor = tensor.detach().to(parameter.device, torch.float32, copy=True)
                self.register_buffer(self._anchors[bare], anchor, persistent=False)
        if not self._anchors:
            message = expected(
                "pretrained",
                "weights of the model to train",
                sorted(stored)[:3],
                "No name and shape agrees; give the file of this very network.",
            )
            raise ArgumentError(message)
