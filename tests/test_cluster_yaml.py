"""Clusters' files: Ray's own launcher accepts cluster.yaml; it and the KubeRay one keep what we promise."""

from __future__ import annotations

import copy
import shlex
from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import start

ROOT = Path(__file__).parents[1]
AWS_PROVIDER = {"type", "region", "availability_zone", "cache_stopped_nodes", "use_internal_ips"}


@pytest.fixture(scope="module")
def config():
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


@pytest.fixture(scope="module")
def kuberay():
    return yaml.safe_load((ROOT / "docs" / "kuberay.yaml").read_text())


def ray_starts(config):
    """Environment and arguments of each `ray start`."""
    commands = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    for command in commands:
        words = shlex.split(command)
        if "start" in words:
            at = words.index("ray")
            yield dict(word.split("=", 1) for word in words[:at]), words[at + 2 :]


def test_the_launcher_accepts_it(config):
    validate_config(prepare_config(copy.deepcopy(config)))


@pytest.mark.parametrize(
    ("key", "value"), [("idle_timeout_minutes", -1), ("max_wokers", 3), ("max_workers", "many")]
)
def test_the_launcher_would_refuse_a_slip(config, key, value):
    broken = {**copy.deepcopy(config), key: value}
    with pytest.raises(jsonschema.ValidationError):
        validate_config(prepare_config(broken))


def test_what_the_launcher_does_not_check(config):
    """It takes any key inside `provider`, any head type's limits and any `ray start` at all."""
    assert set(config["provider"]) <= AWS_PROVIDER
    kinds = config["available_node_types"]
    assert config["head_node_type"] in kinds
    images = {kind["node_config"]["ImageId"] for kind in kinds.values()}
    assert len(images) == 1  # one Python, one Ray, one torch everywhere
    known = {option for parameter in start.params for option in parameter.opts}
    for _, words in ray_starts(config):
        options = {word.split("=")[0] for word in words}
        assert options <= known
    assert "--autoscaling-config=~/ray_bootstrap_config.yaml" in next(ray_starts(config))[1]
    # What is installed is what is sent.
    sent = set(config["file_mounts"])
    installs = [c.split()[-1] for c in config["setup_commands"] if c.startswith("pip install")]
    assert set(installs) <= sent


def test_decoding_and_networks_have_nodes_of_their_own(config):
    kinds = config["available_node_types"]
    assert kinds["head"]["resources"] == {"CPU": 0}
    assert "GPU" not in kinds["cpu"]["resources"]
    assert kinds["gpu"]["resources"]["GPU"] >= 1
    for kind in ("cpu", "gpu"):
        assert 1 <= kinds[kind]["min_workers"] < kinds[kind]["max_workers"]
    workers = sum(kinds[kind]["max_workers"] for kind in ("cpu", "gpu"))
    assert config["max_workers"] >= workers


def test_every_ray_starts_with_a_token_and_without_statistics(config):
    starts = list(ray_starts(config))
    assert len(starts) == 2
    for variables, words in starts:
        assert variables["RAY_AUTH_MODE"] == "token"
        assert variables["RAY_USAGE_STATS_ENABLED"] == "0"
        assert variables["RAY_task_oom_retries"] == "0"
        # A task that no machine of the moment can run waits for the autoscaler's next one.
        assert "RAY_enable_infeasible_task_early_exit" not in variables
        assert "--disable-usage-stats" in words
    assert any(path.endswith("/.ray/auth_token") for path in config["file_mounts"])
    assert "--dashboard-host=127.0.0.1" in starts[0][1]
    assert any(c.startswith("chmod 600") for c in config["setup_commands"])


def test_the_token_is_a_file_and_no_word_of_a_command(config, kuberay):
    for text in ((ROOT / "cluster.yaml").read_text(), (ROOT / "docs" / "kuberay.yaml").read_text()):
        assert "RAY_AUTH_TOKEN=" not in text
    assert kuberay["kind"] == "RayCluster"  # with no Secret beside it


def test_the_kuberay_cluster_keeps_the_same_promises(kuberay):
    assert kuberay["apiVersion"] == "ray.io/v1"
    spec = kuberay["spec"]
    assert spec["authOptions"]["mode"] == "token"
    assert spec["enableInTreeAutoscaling"] is True
    assert spec["autoscalerOptions"]["version"] == "v2"
    head, groups = spec["headGroupSpec"], {g["groupName"]: g for g in spec["workerGroupSpecs"]}
    assert head["serviceType"] == "ClusterIP"
    assert head["rayStartParams"]["num-cpus"] == "0"
    assert set(groups) == {"cpu", "gpu"}
    for name, group in groups.items():
        assert 1 <= group["minReplicas"] <= group["replicas"] < group["maxReplicas"]
        container = group["template"]["spec"]["containers"][0]
        assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (name == "gpu")
    pods = [head["template"]["spec"], *(g["template"]["spec"] for g in groups.values())]
    for pod in pods:
        assert pod["restartPolicy"] == "Never"
        container = pod["containers"][0]
        variables = {entry["name"]: entry["value"] for entry in container["env"]}
        assert variables["RAY_USAGE_STATS_ENABLED"] == "0"
        assert variables["RAY_task_oom_retries"] == "0"
        assert container["image"] == pods[0]["containers"][0]["image"]
        assert container["volumeMounts"] == pods[0]["containers"][0]["volumeMounts"]
        claims = [v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"]]
        assert claims == ["facecap-store"]


def test_both_name_the_ray_that_the_package_asks_for(kuberay):
    text = (ROOT / "pyproject.toml").read_text()
    version = kuberay["spec"]["rayVersion"]
    major, minor, _ = version.split(".")
    assert f'"ray[default]>={major}.{minor},' in text
