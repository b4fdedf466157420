"""Metrics: what our Grafana dashboard asks for is on Ray's metrics pages; without Ray they cost nothing."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from farm.head import LocalHead

ROOT = Path(__file__).parents[1]
DRIVER = """\
import sys, time, warnings
from pathlib import Path
import ray
from jobs.metrics import DriverMetrics, TaskMetrics

warnings.simplefilter("error")  # Ray warns of a metric that is made twice
ray.init(address="auto", log_to_driver=False)

@ray.remote(num_cpus=0.1)
def shot(seconds):
    metrics = TaskMetrics("metrics-test", "test")
    metrics.frames(20)
    metrics.frames(10)
    metrics.gpu_wait(0.5)
    metrics.gpu_wait(0.0)
    metrics.network(1.5)
    metrics.shot_seconds(seconds)
    time.sleep(0.2)

ray.get([shot.remote(2.0), shot.remote(20.0)])
driver = DriverMetrics("metrics-test", "infer")
driver.shots({"queued": 9, "running": 9, "solved": 9, "failed": 9})
for kind in ("lost", "memory"):
    driver.retried("test", kind)
driver.shots({"queued": 1, "running": 0, "solved": 2, "failed": 0})
seen = Path(sys.argv[1])
until = time.monotonic() + 120
while not seen.exists() and time.monotonic() < until:
    time.sleep(0.1)  # what a driver tells goes with it
"""


def dashboard():
    return json.loads((ROOT / "docs" / "grafana.json").read_text())


def expressions():
    board = dashboard()
    found = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    queries = [v["query"] for v in board["templating"]["list"] if v["type"] == "query"]
    return found + [query["query"] for query in queries]


def samples(text):
    """Name, labels and value of each line of a metrics page."""
    for line in text.splitlines():
        if line.startswith("ray_farm_"):
            name, labels, value = re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line).groups()
            yield name, dict(re.findall(r'(\w+)="([^"]*)"', labels)), float(value)


def added(found, name, **labels):
    return sum(value for n, tags, value in found if n == name and labels.items() <= tags.items())


@pytest.mark.cluster
def test_the_dashboard_asks_for_what_ray_exports(farm, tmp_path):
    farm.run(tmp_path, "up", "--cpus", "2")
    head = LocalHead(farm.home)
    script, seen = tmp_path / "driver.py", tmp_path / "seen"
    script.write_text(DRIVER)
    entrypoint = shlex.join([sys.executable, str(script), str(seen)])
    head.cluster().submit(entrypoint, "metrics-test", {})
    discovery = Path(head.state().folder) / "session_latest" / "prom_metrics_service_discovery.json"
    wanted = set(re.findall(r"ray_farm_\w+", " ".join(expressions())))
    assert len(wanted) >= 6
    ours = {"farm_job": "metrics-test"}
    found = []
    deadline = time.monotonic() + 90
    try:
        # The driver's last word and both tasks' are there, from whichever machine's page.
        while not (
            wanted <= {name for name, _, _ in found}
            and added(found, "ray_farm_frames_total", **ours) == 60
            and added(found, "ray_farm_shots", state="solved", **ours) == 2
        ):
            assert time.monotonic() < deadline, f"missing: {wanted - {n for n, _, _ in found}}"
            assert head.cluster().job_status("metrics-test") in ("PENDING", "RUNNING")
            time.sleep(0.5)
            found = list(samples(pages(discovery)))
    finally:
        seen.touch()
    assert added(found, "ray_farm_shots", kind="infer", state="queued", **ours) == 1
    assert added(found, "ray_farm_retries_total", stage="test", kind="lost", **ours) == 1
    assert added(found, "ray_farm_gpu_wait_seconds_total", **ours) == 1.0
    assert added(found, "ray_farm_network_seconds_total", **ours) == 3.0
    assert added(found, "ray_farm_shot_seconds_bucket", stage="test", le="3.0") == 1
    assert added(found, "ray_farm_shot_seconds_bucket", stage="test", le="30.0") == 2
    # Every label by which the dashboard selects or groups is there, and Prometheus's own are not taken.
    labels = {label for _, tags, _ in found for label in tags}
    asked = re.findall(r"(\w+)=~?\"", " ".join(expressions()))
    for names in re.findall(r"by \(([^)]*)\)", " ".join(expressions())):
        asked += names.split(", ")
    assert set(asked) <= labels
    assert not labels & {"job", "instance"}


def pages(discovery):
    """The pages of all machines, found as Prometheus finds them."""
    try:
        targets = [t for group in json.loads(discovery.read_text()) for t in group["targets"]]
    except (OSError, ValueError):
        return ""  # it is written anew now and then
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    texts = []
    for target in targets:
        with opener.open(f"http://{target}/metrics", timeout=20) as answer:
            texts.append(answer.read().decode())
    return "\n".join(texts)


def test_the_dashboard_can_be_imported():
    board = dashboard()
    assert board["schemaVersion"] >= 39
    names = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert names["datasource"]["type"] == "datasource"
    assert "id" not in board  # an import makes a new one
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids) > 0
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == "${datasource}"
        assert panel["title"]
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
    used = set(re.findall(r"\$(\w+)", " ".join(expressions())))
    assert used <= {*names, "__interval"}


def test_without_ray_nothing_happens():
    """No import of Ray, no error, whatever is told."""
    script = (
        "import sys\n"
        "from jobs.metrics import DriverMetrics, TaskMetrics\n"
        "DriverMetrics('j', 'infer').shots({'solved': 1})\n"
        "DriverMetrics('j', 'infer').retried('infer', 'lost')\n"
        "task = TaskMetrics('j', 'infer')\n"
        "task.frames(1); task.gpu_wait(1.0); task.network(1.0); task.shot_seconds(1.0)\n"
        "assert 'ray' not in sys.modules, 'imports ray'\n"
        "import ray\n"
        "task.frames(1)\n"
        "assert not ray.is_initialized()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, env=dict(os.environ))


def test_a_failing_metric_fails_no_shot(monkeypatch):
    import ray
    import ray.util.metrics

    from jobs.metrics import TaskMetrics

    refused = []

    def refuse(*arguments, **more):
        refused.append(arguments)
        raise RuntimeError("the agent is gone")

    monkeypatch.setattr("jobs.metrics._made", {})
    monkeypatch.setattr(ray, "is_initialized", lambda: True)
    monkeypatch.setattr(ray.util.metrics, "Counter", refuse)
    TaskMetrics("j", "infer").frames(1)
    assert refused
