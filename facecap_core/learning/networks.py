"""Networks: the one that a configuration means."""

from __future__ import annotations

from facecap_core.errors import ConfigError
from facecap_core.learning.config import NetworkConfig
from facecap_core.learning.fully_connected import FullyConnected
from facecap_core.learning.network import Network
from facecap_core.learning.several_views import SeveralViews

AnyNetwork = Network | SeveralViews | FullyConnected
MOST_OPTIONAL_VIEWS = 4


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


def parts_of(network: AnyNetwork) -> dict[str, str]:
    """Its kind and section, for model.json."""
    if isinstance(network, FullyConnected):
        return {"kind": "fully-connected", "section": "B"}
    if isinstance(network, SeveralViews):
        return {"kind": "convolutional, several views", "section": "5.1"}
    return {"kind": "convolutional", "section": "3.1"}
