"""The farm, whole: real Ray head, real jobs over real footage, read back as a user would."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
import signal
import stat
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
from tiny_production import make_production, write_shots, write_video
from waiting import wait_for

from facecap_core.productions.production import load_production
from facecap_core.stores.groups import open_vertices
from farm.head import LocalHead
from jobs.job_list import find_job
from jobs.models import list_models

pytestmark = pytest.mark.cluster

SMALL = ["--preset", "demo", "--epochs", "2", "--set", "network.components=3"]
SMALL += ["--set", "network.channels=[8,8]", "--set", "network.refine=[false,false]"]
SMALL += ["--cpus", "1"]  # a network so small is faster without a second thread


@pytest.fixture(scope="module")
def production(tmp_path_factory):
    """Six bulk shots, of which one is missing, one truncated, one of another size and one empty."""
    folder = make_production(
        tmp_path_factory.mktemp("tiny"), train=2, validation=1, bulk=6, frames=40
    )
    footage = folder / "footage"
    (footage / "bulk_1.mp4").rename(folder / "bulk_1_away.mp4")
    whole = (footage / "bulk_2.mp4").read_bytes()
    (folder / "bulk_2_whole.mp4").write_bytes(whole)
    (footage / "bulk_2.mp4").write_bytes(whole[: len(whole) // 2])
    write_video(footage / "bulk_3.mp4", 20, size=(64, 96))
    (footage / "bulk_5.mp4").rename(folder / "bulk_5_whole.mp4")
    (footage / "bulk_5.mp4").touch()
    return folder


@pytest.fixture(scope="module")
def head(farm, production):
    farm.run(production, "up", "--cpus", "2")
    return LocalHead(farm.home)


def status(farm, folder, *job, code=0):
    return json.loads(farm.run(folder, "status", *job, "--json", code=code))


def family(head):
    process = psutil.Process(head.state().process.pid)
    return [process, *process.children(recursive=True)]


def at_work(head):
    """Processes of drivers and of tasks."""
    found = []
    for process in family(head):
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if "jobs.entry" in line or line.startswith(("ray::work", "ray::ingest")):
                found.append(line)
    return found


def has_ended(process):
    """Also where nobody has asked for its exit code yet."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE or not process.is_running()
    except psutil.NoSuchProcess:  # it may go between two questions
        return True


def test_the_head_is_on_loopback_alone_and_asks_for_its_token(head):
    listening = []
    for process in family(head):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile, and listens no more
            listening += [c for c in process.net_connections("inet") if c.status == "LISTEN"]
    assert len(listening) > 5
    for connection in listening:
        address = ipaddress.ip_address(connection.laddr.ip.removeprefix("::ffff:"))
        assert address.is_loopback, f"listens on {connection.laddr}"
    assert stat.S_IMODE(head.token_path.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path(head.state().folder).parent.stat().st_mode) == 0o700
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(head.state().dashboard + "/api/jobs/", timeout=10)
    assert refused.value.code == 401
    assert head.cluster().nodes()[0]["CPU"] == 2
    token = head.token_path.read_text().strip()
    lines = []
    for process in family(head):
        with contextlib.suppress(psutil.NoSuchProcess):  # a zombie too has no command line left
            lines.append(" ".join(process.cmdline()))
    assert len(lines) > 5
    assert not [line for line in lines if token in line]


def test_a_head_that_runs_is_found_again(farm, production, head, capfd):
    before = head.state()
    farm.run(production, "up")
    assert head.state() == before
    capfd.readouterr()
    assert farm.main(production, "up", "--cpus", "1") == 0
    assert "it ran already, and offers what it did" in capfd.readouterr().err
    assert head.state() == before
    shown = json.loads(farm.run(production, "dashboard", "--json"))
    assert shown["dashboard"] == before.dashboard
    assert shown["token_file"] == str(head.token_path)


def test_what_the_cluster_cannot_do_is_refused_at_once(farm, production, head):
    text = farm.run(production, "submit", "train", *SMALL, "--gpus", "8", code=2)
    assert "8 GPU" in text
    assert "1 x 2 CPU and 0 GPU" in text
    assert not (production / "store").exists()


@pytest.fixture(scope="module")
def training(farm, production, head):
    """The job that trained the production's model, as `farm submit --wait --json` tells it."""
    return json.loads(farm.run(production, "submit", "train", *SMALL, "--wait", "--json"))


def test_training_ingests_what_it_needs(farm, production, training):
    found = training
    assert (found["state"], found["exit_code"]) == ("done", 0)
    assert found["counts"]["solved"] == 3
    assert int(found["driver"]["ray_job_id"], 16) > 0
    assert found["training"]["state"] == "solved"
    assert found["training"]["figures"]["validation_rmse_mm"] > 0
    models = list_models(production / "store", ["ada"])
    assert [model.model for model in models] == [found["model"]]
    assert found["model"] in farm.run(production, "models")
    log = farm.run(production, "logs", found["job"])
    assert "ingest 3/3" in log
    assert f"train 1/1 {found['model']}: trained" in log
    # The same request again is the same job, and there is nothing to do.
    again = json.loads(farm.run(production, "submit", "train", *SMALL, "--json"))
    assert (again["job"], again["new"], again["state"]) == (found["job"], False, "done")


def test_bad_shots_fail_alone_and_retry_does_only_those(farm, production, training):
    found = json.loads(farm.run(production, "submit", "infer", "--wait", "--json", code=100))
    assert found["state"] == "failed"
    counts = {state: number for state, number in found["counts"].items() if number}
    assert counts == {"solved": 2, "failed": 4}
    causes = {s["name"]: s["cause"]["type"] for s in found["shots"] if s["cause"]}
    assert causes["bulk_1"] == "FootageMissing"
    assert causes["bulk_2"] in ("FootageTruncated", "FootageUnreadable")
    assert causes["bulk_3"] == "PictureSizeError"
    assert causes["bulk_5"] in ("FootageEmpty", "FootageUnreadable")
    assert {s["attempt"] for s in found["shots"]} == {1}, "a fault of its own is not tried again"
    table = farm.run(production, "status", "infer", code=100)
    assert "bulk_1" in table
    assert "no such file" in table
    assert "bulk_0" not in table
    assert "PictureSizeError" in farm.run(production, "logs", "infer", "--shot", "bulk_3")

    store = load_production(production).store
    solved = [store / "vertices" / "ada" / f"bulk_{number}.zarr" for number in (0, 4)]
    before = [(path.readlink(), path.lstat().st_ino) for path in solved]
    (production / "bulk_1_away.mp4").rename(production / "footage" / "bulk_1.mp4")
    (production / "bulk_2_whole.mp4").rename(production / "footage" / "bulk_2.mp4")
    write_video(production / "footage" / "bulk_3.mp4", 40)
    (production / "bulk_5_whole.mp4").rename(production / "footage" / "bulk_5.mp4")
    found = json.loads(farm.run(production, "retry", "infer", "--wait", "--json"))
    assert (found["state"], found["counts"]["solved"]) == ("done", 6)
    assert {s["name"]: s["attempt"] for s in found["shots"]} == {
        "bulk_0": 1,
        "bulk_1": 2,
        "bulk_2": 2,
        "bulk_3": 2,
        "bulk_4": 1,
        "bulk_5": 2,
    }
    earlier = [(s["name"], one["cause"]["type"]) for s in found["shots"] for one in s["earlier"]]
    assert dict(earlier) == causes
    assert len(earlier) == 4
    assert [(path.readlink(), path.lstat().st_ino) for path in solved] == before
    for number in range(6):
        assert open_vertices(store / "vertices" / "ada" / f"bulk_{number}.zarr").frames == 40


@pytest.fixture(scope="module")
def long_production(tmp_path_factory):
    """Shots that take a moment each."""
    folder = make_production(tmp_path_factory.mktemp("long"), train=1, frames=2)
    write_video(folder / "footage" / "long.mp4", 4000)
    rows = [(f"long_{n}", "ada", "", "", "", "footage/long.mp4") for n in range(12)]
    write_shots(folder, rows)
    (folder / "all.txt").write_text("long_*\n")
    return folder


def marks(store):
    """What must not change of stores that are not done again."""
    found = {}
    for path in sorted(store.glob("frames/*/*.zarr")):
        chunks = [(c, c.stat().st_ino, c.stat().st_mtime_ns) for c in path.resolve().rglob("*")]
        found[path.parent.name] = (path.readlink(), path.lstat().st_ino, chunks)
    return found


def test_after_a_drivers_death_the_same_command_does_only_what_is_missing(
    farm, long_production, head
):
    folder = long_production
    (folder / "six.txt").write_text("long_[0-5]\n")
    command = ["submit", "ingest", "--shots", "six.txt", "--max-parallel", "1"]
    farm.run(folder, *command)
    ledger = find_job(folder / "store" / "jobs", None)
    wait_for(lambda: ledger.status().counts["solved"] == 3)
    os.kill(ledger.driver().process.pid, signal.SIGKILL)
    wait_for(lambda: ledger.status().state == "interrupted", 5)
    before = marks(folder / "store")
    assert len(before) == 3

    found = json.loads(farm.run(folder, *command, "--wait", "--json"))
    assert found["job"] == ledger.job
    assert found["counts"]["solved"] == 6
    after = marks(folder / "store")
    assert {name: after[name] for name in before} == before
    log = farm.run(folder, "logs", ledger.job)
    assert "ingest: 3 to do, 3 ingested already" in log
    done = [shot["name"] for shot in found["shots"] if shot["name"] not in before]
    assert len(done) == 3
    assert not any(shot["reused"] for shot in found["shots"])


def test_a_dead_driver_is_noticed_and_a_cancelled_job_leaves_nothing(farm, long_production, head):
    folder = long_production
    shutil.rmtree(folder / "store" / "frames", ignore_errors=True)
    farm.run(folder, "submit", "ingest", "--shots", "all.txt")
    ledger = find_job(folder / "store" / "jobs", None)
    wait_for(lambda: ledger.status().counts["solved"] >= 1)
    os.kill(ledger.driver().process.pid, signal.SIGKILL)
    wait_for(lambda: ledger.status().state == "interrupted", 5)
    assert "is gone" in farm.run(folder, "wait", code=101)
    solved = ledger.status().counts["solved"]
    assert 1 <= solved < 12

    farm.run(folder, "retry")
    wait_for(lambda: ledger.status().counts["running"] >= 1 and at_work(head))
    farm.run(folder, "wait", "--timeout", "0", code=101)
    farm.run(folder, "cancel", ledger.job)
    found = status(farm, folder, code=103)
    assert found["state"] == "cancelled"
    counts = found["counts"]
    assert counts["cancelled"] > 0
    assert counts["solved"] >= solved
    assert counts["solved"] + counts["cancelled"] == 12
    stores = list((folder / "store" / "frames").glob("*/*.zarr"))
    assert len(stores) == counts["solved"]
    assert found["missing"] == 0
    # The shots that died with their driver left versions that nobody sees; cancelled ones none.
    versions = (folder / "store" / "frames").glob("*/.versions/*.zarr@*")
    folders = {path.resolve() for path in versions if path.is_dir()}  # beside each its manifest
    unseen = folders - {path.resolve() for path in stores}
    assert len(unseen) <= 2
    wait_for(lambda: not at_work(head))


def test_a_worker_that_does_not_hear_is_ended_by_cancelling(farm, long_production, head):
    folder = long_production
    shutil.rmtree(folder / "store" / "frames", ignore_errors=True)
    (folder / "one.txt").write_text("long_7\n")
    farm.run(folder, "submit", "ingest", "--shots", "one.txt")
    ledger = find_job(folder / "store" / "jobs", None)
    wait_for(lambda: ledger.status().counts["running"] == 1)
    (worker,) = [p for p in family(head) if " ".join(p.cmdline()).startswith("ray::ingest")]
    worker.send_signal(signal.SIGSTOP)
    farm.run(folder, "cancel", ledger.job)
    assert status(farm, folder, ledger.job, code=103)["counts"]["cancelled"] == 1
    wait_for(lambda: has_ended(worker))
    assert not list((folder / "store" / "frames").glob("*/*.zarr"))


def test_the_ledger_says_the_same_without_ray(farm, production, long_production, head):
    kept = [(production, (), 0), (long_production, (), 103)]
    before = [status(farm, place, *job, code=code) for place, job, code in kept]
    listed = farm.run(production, "list", "--json")
    processes, folder = family(head), Path(head.state().folder)
    assert farm.run(production, "down") == "the local head is down\n", "nothing is at work"
    assert head.state() is None
    assert not folder.parent.exists()
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive
    after = [status(farm, place, *job, code=code) for place, job, code in kept]
    assert after == before
    assert farm.run(production, "list", "--json") == listed
    assert "no local head" in farm.run(production, "down")
