"""Placement: what a task asks of the cluster, and what no machine has."""

from __future__ import annotations

import pytest

from jobs.errors import NoSuchResources
from jobs.placement import placement
from jobs.records import Options


@pytest.mark.parametrize(
    ("stage", "options", "nodes", "expected"),
    [
        ("ingest", Options(), [{"CPU": 8.0}], (1, 0)),
        ("ingest", Options(), [{"CPU": 8.0, "GPU": 1.0}], (1, 0)),
        ("infer", Options(), [{"CPU": 8.0}], (1, 0)),
        ("infer", Options(), [{"CPU": 8.0}, {"CPU": 4.0, "GPU": 1.0}], (1, 0.25)),
        ("infer", Options(gpus=0, cpus=2), [{"CPU": 4.0, "GPU": 1.0}], (2, 0)),
        ("train", Options(), [{"CPU": 0.0}, {"CPU": 8.0}, {"CPU": 4.0}], (8, 0)),
        ("train", Options(), [{"CPU": 8.0}, {"CPU": 4.0, "GPU": 2.0}], (2, 1)),
        ("train", Options(), [{"CPU": 8.0}, {"CPU": 1.0, "GPU": 2.0}], (1, 1)),
        ("train", Options(gpus=2), [{"CPU": 8.0, "GPU": 2.0}], (2, 2)),
    ],
)
def test_placement(stage, options, nodes, expected):
    found = placement(stage, options, nodes)
    assert (found.cpus, found.gpus) == expected


@pytest.mark.parametrize(
    ("stage", "options", "nodes"),
    [
        ("train", Options(gpus=1), [{"CPU": 2.0}]),
        ("infer", Options(cpus=4), [{"CPU": 2.0}, {"CPU": 3.0}]),
        ("infer", Options(cpus=4, gpus=1), [{"CPU": 8.0}, {"CPU": 2.0, "GPU": 1.0}]),
        ("ingest", Options(), [{"CPU": 0.0}]),
        ("train", Options(), [{"CPU": 0.0}]),
        ("ingest", Options(), []),
    ],
)
def test_impossible_requests_are_refused(stage, options, nodes):
    with pytest.raises(NoSuchResources, match="the cluster's machines have"):
        placement(stage, options, nodes)
