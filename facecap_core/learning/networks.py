"""Networks: the one that a configuration means."""

from __future__ import annotations

import torch

from facecap_core.errors import ConfigError
from facecap_core.learning.config import MOST_OPTIONAL_VIEWS, NetworkConfig
from facecap_core.learning.fully_connected import FullyConnected
from facecap_core.learning.network import Network
from facecap_core.learning.several_views import SeveralViews

AnyNetwork = Network | SeveralViews | FullyConnected


def build_network(config: NetworkConfig, outputs: int, views: int) -> AnyNetwork:
    """A network for `views` cameras that puts out `outputs` coordinates; its weights are not set yet.

    Raises:
        ConfigError: no network of this configuration takes so many cameras.
    """
    if config.kind == "fully-connected":
        if views > 1:
            raise ConfigError(
                "the fully connected network takes one camera (Appendix B)",
                remedy="name one with --camera, or leave out --network fully-connected",
            )
        return FullyConnected(config, outputs)
    if views == 1:
        return Network(config, outputs)
    if config.view_dropout and views > MOST_OPTIONAL_VIEWS:
        raise ConfigError(
            f"network.view_dropout has a layer for each set of cameras: at most {MOST_OPTIONAL_VIEWS}",
            remedy="name fewer cameras, or set network.view_dropout to 0",
        )
    return SeveralViews(config, outputs, views)


def to_device(network: AnyNetwork, device: torch.device) -> None:
    """Move it to a device, convolutions channels last: the layout in which they are fastest."""
    network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def parameter_count(network: AnyNetwork) -> int:
    """How many numbers are learned; an image basis is not."""
    return sum(parameter.numel() for parameter in network.parameters())


def parts_of(network: AnyNetwork) -> dict[str, str]:
    """Its kind and section, for model.json."""
    if isinstance(network, FullyConnected):
        return {"kind": "fully-connected", "section": "B"}
    if isinstance(network, SeveralViews):
        return {"kind": "convolutional, several views", "section": "5.1"}
    return {"kind": "convolutional", "section": "3.1"}
