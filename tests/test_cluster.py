"""A cluster of several machines: placement, and every death that a job has to survive."""

from __future__ import annotations

import json
import os
import shutil
import signal

import made_jobs
import pytest
from raylets import Raylets
from tiny_production import make_production, write_shots, write_video
from waiting import wait_for

from facecap_core.learning.presets import resolve
from facecap_core.productions.production import load_production
from facecap_core.stores.groups import GroupReader
from facecap_core.stores.manifests import verify
from jobs.job_list import find_job
from jobs.ledger import Ledger
from jobs.planning import plan_train

pytestmark = pytest.mark.cluster

SMALL = ["--preset", "demo", "--set", "network.components=3", "--set", "network.channels=[8,8]"]
SMALL += ["--set", "network.refine=[false,false]", "--set", "schedule.epochs=2"]
ONE_THREAD = ["--cpus", "1"]  # a network so small is faster without a second one


@pytest.fixture(scope="module")
def failpoints(tmp_path_factory):
    """Files by the step and action of a failpoint: while one is absent, the next task there meets it."""
    folder = tmp_path_factory.mktemp("failpoints")
    found = {}
    for name in ("chunk.written memory", "chunk.written stop", "file.made stop"):
        found[name] = folder / name.replace(" ", "-")
        found[name].touch()
    return found


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, failpoints):
    """A head without processors, two machines that decode, and one with a GPU (a logical one)."""
    variable = ";".join(f"{name} {once}" for name, once in failpoints.items())
    raylets = Raylets(tmp_path_factory.mktemp("raylets"), FARM_FAILPOINT=variable)
    try:
        raylets.up()
        raylets.add("cpu1", cpus=2)
        raylets.add("cpu2", cpus=2)
        raylets.add("gpu", cpus=2, gpus=1)
        yield raylets
    finally:
        raylets.down()


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    """Short shots, and long ones (long_*) that take a moment each."""
    folder = make_production(
        tmp_path_factory.mktemp("tiny"), train=2, validation=1, bulk=4, frames=40
    )
    write_video(folder / "footage" / "long.mp4", 3000)
    rows = [line.split(",") for line in (folder / "shots.csv").read_text().split()[1:]]
    rows += [(f"long_{n}", "ada", "", "", "", "footage/long.mp4") for n in range(6)]
    write_shots(folder, rows)
    (folder / "long.txt").write_text("long_*\n")
    (folder / "bulk.txt").write_text("bulk_*\n")
    config = resolve("demo", [word for word in SMALL[2:] if word != "--set"])
    train = plan_train(load_production(folder), actor="ada", config=config)
    ledger = Ledger.create(folder / "store" / "jobs", train)
    made_jobs.submit(ledger)
    for name in train.shots:
        made_jobs.work(ledger, name, "ingest")
    made_jobs.work(ledger, train.model, "train")
    fresh(folder)
    return folder


@pytest.fixture
def run(farm, cluster):
    """`farm` on this cluster."""

    def call(folder, *arguments, code=0):
        return farm.run(folder, *arguments, code=code, **cluster.environment)

    return call


def submitted(run, folder, *arguments, code=0):
    return json.loads(run(folder, "submit", *arguments, "--wait", "--json", code=code))


def fresh(folder):
    """Forget what is stored and every job, but not the models."""
    for name in ("frames", "targets", "vertices", "jobs"):
        shutil.rmtree(folder / "store" / name, ignore_errors=True)


def account(found):
    """The invariant: every shot is in exactly one state, and what is solved is whole."""
    counts = found["counts"]
    ends = ("solved", "failed", "cancelled", "skipped")
    assert sum(counts[state] for state in ends) + found["missing"] == len(found["shots"])


def stores(folder, kind):
    return sorted((folder / "store" / kind).glob("*/*.zarr"))


def chunks(path):
    """Bytes of every chunk of a store, by name."""
    return {
        p.relative_to(path).as_posix(): p.read_bytes() for p in path.rglob("c.*") if p.is_file()
    }


def nodes_of(cluster, name):
    """Ids of the machines on which tasks of this name ran."""
    answer = cluster.cluster._ask("GET", "/api/v0/tasks?limit=10000&detail=1")
    rows = answer["data"]["result"]["result"]
    return {row["node_id"] for row in rows if row["name"] == name and row["node_id"]}


def test_a_machine_with_gpu_trains_and_solves_while_another_decodes(run, production, cluster):
    rows = cluster.cluster._ask("GET", "/api/v0/nodes?detail=1")["data"]["result"]["result"]
    ids = {n["node_id"]: "gpu" if n["resources_total"].get("GPU") else "cpu" for n in rows}
    train = submitted(run, production, "train", *SMALL, *ONE_THREAD, "--seed", "3")
    assert train["state"] == "done"
    plan = json.loads(
        run(production, "submit", "infer", "--shots", "bulk.txt", "--dry-run", "--json")
    )
    assert "decoding on a machine without GPU" in plan["stages"]["infer"]
    infer = submitted(run, production, "infer", "--shots", "bulk.txt")
    assert infer["counts"]["solved"] == 4
    assert all("waited_seconds" in shot["figures"] for shot in infer["shots"])
    for record in [*infer["shots"], train["training"]]:
        assert ids[record["node"]] == "gpu"
    for record in train["shots"]:
        assert ids[record["node"]] == "cpu"
    seen = wait_for(lambda: nodes_of(cluster, "decode"))
    assert {ids[node] for node in seen} == {"cpu"}
    for path in stores(production, "vertices"):
        assert GroupReader(path).frames == 40
        assert verify(path) == []


def test_any_number_of_workers_gives_the_same_bytes(run, production):
    found = []
    for parallel in ("1", "4"):
        for name in ("vertices", "jobs"):
            shutil.rmtree(production / "store" / name, ignore_errors=True)
        job = submitted(run, production, "infer", "--shots", "bulk.txt", "--max-parallel", parallel)
        assert job["counts"]["solved"] == 4
        found.append([chunks(path) for path in stores(production, "vertices")])
    assert len(found[0]) == 4
    assert found[0] == found[1]


def test_a_worker_that_is_killed_costs_its_shot_another_try(run, production, cluster):
    fresh(production)
    run(production, "submit", "ingest", "--shots", "long.txt")
    ledger = find_job(production / "store" / "jobs", None)
    victim = wait_for(cluster.workers)[0]
    victim.send_signal(signal.SIGKILL)
    found = json.loads(run(production, "wait", "--json"))
    assert found["counts"]["solved"] == 6
    assert sorted(shot["lost"] for shot in found["shots"]) == [0, 0, 0, 0, 0, 1]
    account(found)
    assert "is tried again" in run(production, "logs", ledger.job)
    for path in stores(production, "frames"):
        assert verify(path) == []


def test_a_task_out_of_memory_is_tried_again_with_memory_reserved(run, production, failpoints):
    fresh(production)
    failpoints["chunk.written memory"].unlink()
    found = submitted(run, production, "ingest", "--shots", "bulk.txt")
    assert found["counts"]["solved"] == 4
    reserved = [shot["memory_gb"] for shot in found["shots"] if shot["memory_gb"] is not None]
    assert len(reserved) == 1
    assert reserved[0] >= 2.0
    account(found)


@pytest.mark.parametrize("step", ["file.made", "chunk.written"])
def test_a_task_that_stands_still_is_ended_and_tried_elsewhere(
    run, production, cluster, failpoints, step
):
    """Before it could say that it runs, or in the middle of its work."""
    fresh(production)
    failpoints[f"{step} stop"].unlink()
    arguments = ["ingest", "--shots", "bulk.txt", "--hung-after", "0.1"]
    found = submitted(run, production, *arguments)
    assert failpoints[f"{step} stop"].exists()
    assert found["counts"]["solved"] == 4
    assert "no progress" in run(production, "logs")
    assert not [worker for worker in cluster.workers() if worker.status() == "stopped"]
    account(found)


def test_four_equal_jobs_at_once_make_every_shot_visible_once(run, production):
    """The same shots asked for by different jobs: what one has solved the others verify and keep."""
    fresh(production)
    for number in range(4):
        (production / f"list{number}.txt").write_text("bulk_*\n" + f"long_{number}\n")
        run(production, "submit", "ingest", "--shots", f"list{number}.txt")
    jobs = [path.name for path in (production / "store" / "jobs").iterdir()]
    assert len(jobs) == 4
    found = [json.loads(run(production, "wait", job, "--json")) for job in jobs]
    for job in found:
        assert job["counts"]["solved"] == 5
    made = [s["name"] for job in found for s in job["shots"] if not s["reused"]]
    assert sorted(made) == sorted(set(made)), "nothing twice"
    assert len(made) == 8


def trained_undisturbed(production, request, folder):
    """The weights that the request gives in this process, in a copy of the production."""
    shutil.copytree(production, folder, ignore=shutil.ignore_patterns("store"))
    paths = load_production(folder).paths
    ledger = Ledger.create(paths.jobs, request)
    made_jobs.submit(ledger)
    for name in request.shots:
        made_jobs.work(ledger, name, "ingest")
    made_jobs.work(ledger, request.model, "train")
    return (paths.model("ada", request.model) / "weights.safetensors").read_bytes()


def test_a_training_whose_machine_is_taken_away_ends_with_the_same_bits(
    run, production, cluster, tmp_path
):
    fresh(production)
    cluster.add("gpu2", cpus=2, gpus=1)
    run(production, "submit", "train", *SMALL, *ONE_THREAD, "--epochs", "400", "--seed", "5")
    ledger = find_job(production / "store" / "jobs", None)
    request, paths = ledger.request(), load_production(production).paths
    wait_for((paths.training_state("ada", request.model) / "state.safetensors").exists)
    (at,) = [name for name in ("gpu", "gpu2") if cluster.workers(name)]
    node = ledger.training().node
    cluster.kill(at)
    expected = trained_undisturbed(production, request, tmp_path / "undisturbed")
    found = json.loads(run(production, "wait", "--json"))
    assert found["state"] == "done"
    assert found["training"]["lost"] == 1
    assert found["training"]["node"] != node
    weights = paths.model("ada", request.model) / "weights.safetensors"
    assert weights.read_bytes() == expected


def test_a_job_goes_on_after_its_machines_and_then_its_head_died(run, production, cluster, farm):
    fresh(production)
    arguments = ["submit", "infer", "--shots", "long.txt", "--max-parallel", "2"]
    run(production, *arguments)
    ledger = find_job(production / "store" / "jobs", None)
    wait_for(lambda: cluster.workers("cpu1") or cluster.workers("cpu2"))
    cluster.kill("cpu1")
    cluster.kill("cpu2")  # now the machine with the GPU has to decode as well
    before = ledger.status().counts["solved"]
    wait_for(lambda: ledger.status().counts["solved"] > before)
    assert sum(shot.lost for shot in ledger.status().shots) >= 1

    cluster.down()
    found = json.loads(farm.run(production, "wait", "--timeout", "45", "--json", code=101))
    assert found["state"] == "interrupted"
    before = {p: (p.readlink(), p.lstat().st_ino) for p in stores(production, "vertices")}
    assert 1 <= len(before) < 6
    account(found)

    again = json.loads(farm.run(production, *arguments, "--wait", "--json"))  # on the local head
    assert again["job"] == ledger.job
    assert again["counts"]["solved"] == 6
    for path, mark in before.items():
        assert (path.readlink(), path.lstat().st_ino) == mark
    for path in stores(production, "vertices"):
        assert verify(path) == []
    assert os.listdir(production / "store" / "jobs") == [ledger.job]
