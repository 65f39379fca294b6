"""Weights of networks trained on ImageNet, as torchvision publishes them."""

from __future__ import annotations

from pickle import UnpicklingError
from urllib.error import HTTPError, URLError

import torch
from torch import Tensor

from soupxr.errors import ArgumentError, DownloadError, expected
from soupxr.models._torchvision import torchvision
from soupxr.options import get_option

__all__ = ["URLS", "imagenet_weights"]

#: Where torchvision keeps them; the name ends in the first digits of the file's SHA-256.
URLS = {
    "resnet18": torchvision.models.ResNet18_Weights.IMAGENET1K_V1.url,
    "resnet50": torchvision.models.ResNet50_Weights.IMAGENET1K_V2.url,
}


def imagenet_weights(backbone: str) -> dict[str, Tensor]:
    """State dict of a residual network trained on ImageNet, fetched once into torch's own cache.

    Raises
    ------
    ArgumentError
        If there are none for this backbone.
    DownloadError
        If they cannot be fetched, or what came is damaged.
    """
    if backbone not in URLS:
        raise ArgumentError(
            expected(
                "init",
                "'random' in this mode",
                "imagenet",
                f"ImageNet weights are of {', '.join(URLS)}, and this is {backbone}.",
            )
        )
    url = URLS[backbone]
    folder = f"{torch.hub.get_dir()}/checkpoints"
    try:
        weights: dict[str, Tensor] = torch.hub.load_state_dict_from_url(
            url,
            map_location="cpu",
            check_hash=True,
            weights_only=True,
            progress=bool(get_option("progress")),
        )
    except (URLError, OSError, RuntimeError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise DownloadError(
            f"{url}: the ImageNet weights cannot be fetched ({error}). On a machine without a "
            f'network put that file into {folder}, or pass init="random".'
        ) from None
    except (UnpicklingError, EOFError) as error:
        raise DownloadError(
            f"{folder}/{url.rsplit('/', 1)[-1]}: expected the ImageNet weights of {url}, but the "
            f'file holds something else ({error}). Remove it, or pass init="random".'
        ) from None
    return weights
