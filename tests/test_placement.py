"""Placement: what a task asks of the cluster, and what no machine has."""

from __future__ import annotations

import pytest

from jobs.dispatch import Dispatch
from jobs.errors import NoSuchResources
from jobs.ledger import Ledger
from jobs.metrics import DriverMetrics
from jobs.placement import Placement, fits, placement
from jobs.records import Cause, Options
from jobs.request import IngestRequest
from jobs.retries import Tries
from jobs.stage import Stage


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


GPU_MACHINE = {"NodeID": "g", "CPU": 8.0, "GPU": 1.0, "memory": 64e9}
PLAIN_MACHINE = {"NodeID": "p", "CPU": 8.0, "memory": 16e9}


@pytest.mark.parametrize(
    ("tries", "avoided"),
    [
        (Tries(), {"g"}),
        (Tries(memory_gb=8.0), {"g"}),
        (Tries(memory_gb=32.0), set()),  # only the machine with a GPU has so much
        (Tries(memory_gb=32.0, avoid=frozenset("p")), {"p"}),
        (Tries(memory_gb=32.0, avoid=frozenset("g")), set()),
    ],
)
def test_no_machine_is_avoided_that_alone_has_the_memory(tries, avoided):
    dispatch = Dispatch(None, "ingest", Placement(1, 0), None)
    found = dispatch._avoided(tries, [GPU_MACHINE, PLAIN_MACHINE], {"g"})
    assert found == avoided


def test_a_machine_fits_by_all_that_it_has():
    task, nodes = Placement(4, 0), [GPU_MACHINE, PLAIN_MACHINE]
    assert fits(task, nodes, memory_gb=64.0)
    assert not fits(task, nodes, memory_gb=65.0)
    assert not fits(task, nodes, {"g"}, memory_gb=17.0)
    assert fits(task, [{"NodeID": "x", "CPU": 4.0}], memory_gb=1.0), "nobody knows how much it has"
    assert not fits(Placement(1, 1), [PLAIN_MACHINE])


def test_no_more_memory_is_reserved_than_a_machine_has_that_could_run_it(tmp_path, monkeypatch):
    """The largest machine has no GPU, and what solves a shot takes a share of one."""
    request = IngestRequest(settings={}, actors=("ada",), shots=("a",))
    ledger = Ledger.create(tmp_path, request)
    nodes = [GPU_MACHINE, {"NodeID": "l", "CPU": 8.0, "memory": 256e9}]
    monkeypatch.setattr("jobs.stage.alive_nodes", lambda: nodes)
    stage = Stage(
        ledger=ledger,
        name="infer",
        place=Placement(1, 0.25),
        submission=None,
        say=lambda *texts: None,
        stopped=lambda: False,
        patient=lambda: True,
        metrics=DriverMetrics(ledger.job, "infer"),
    )
    cause = Cause(type="OutOfMemoryError", message="too much", kind="memory")
    record = ledger.shot("a").model_copy(
        update={"state": "failed", "cause": cause, "peak_memory_gb": 40.0}
    )
    tries = Tries()
    assert stage._again(record, tries) is None
    assert tries.memory_gb == 64.0
