"""Stream: a shot's pictures, decoded on one machine and taken in on another, a few batches at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from facecap_core.errors import FacecapError
from jobs.errors import MachineLost, WorkerLost
from jobs.nodes import alive_nodes, not_on
from jobs.placement import Placement, fits
from jobs.records import Lot

if TYPE_CHECKING:
    from facecap_core.pictures_ahead import Decoding, Pictures

BATCHES_UNDERWAY = 8
"""Of 1.2 MB: what waits between decoder and network is bounded."""
LOOK_SECONDS = 5.0


def decode_there(decoding: Decoding) -> Iterator[Any]:
    """The Ray task on the machine that decodes: first what the first picture tells and what decodes them,
    then they, in batches."""
    from facecap_core.pictures_ahead import decode

    pictures = decode(decoding)
    yield pictures.info, pictures.decoder
    yield from pictures.batches


def far_decoder(lot: Lot) -> Callable[[Decoding], Pictures]:
    """A decoder on another machine than those of `lot.avoid`; where there is none, in this process."""

    def decode(decoding: Decoding) -> Pictures:
        import ray

        from facecap_core import pictures_ahead

        if not _others(lot):
            return pictures_ahead.decode(decoding)
        options: dict[str, Any] = {
            "name": "decode",
            "num_cpus": 1,
            "num_returns": "streaming",
            "_generator_backpressure_num_objects": BATCHES_UNDERWAY,
            "max_retries": 0,  # the shot as a whole is tried again
        }
        if lot.avoid:
            options["label_selector"] = not_on(lot.avoid)
        stream = ray.remote(decode_there).options(**options).remote(decoding)
        while not ray.wait([stream], timeout=LOOK_SECONDS)[0]:
            if not _others(lot):
                # Slower, but the shot is solved; and it asks for no processor that it might wait for in vain.
                ray.cancel(stream)
                return pictures_ahead.decode(decoding)
        items = _items(stream)
        info, its_decoder = next(items)
        return pictures_ahead.Pictures(info, items, its_decoder)

    return decode


def _others(lot: Lot) -> bool:
    """Whether a machine that may decode is there."""
    return fits(Placement(cpus=1, gpus=0), alive_nodes(), set(lot.avoid))


def _items(stream: Any) -> Iterator[Any]:
    import ray

    ended = False
    try:
        for reference in stream:
            try:
                yield ray.get(reference)
            except ray.exceptions.RayTaskError as error:
                cause = getattr(error, "cause", None)
                raise cause if isinstance(cause, FacecapError) else error from None
            except (ray.exceptions.NodeDiedError, ray.exceptions.ObjectLostError) as error:
                raise MachineLost("the machine that decoded it was lost") from error
            except ray.exceptions.RayError as error:
                raise WorkerLost("the process that decoded it died") from error
        ended = True
    finally:
        if not ended:  # else it would decode on for nobody
            with contextlib.suppress(Exception):
                ray.cancel(stream)
