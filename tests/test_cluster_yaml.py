"""cluster.yaml: Ray's own launcher accepts it, and it keeps what we promise of a cluster."""

from __future__ import annotations

import copy
from pathlib import Path

import jsonschema
import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def config():
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


def test_the_launcher_accepts_it(config):
    validate_config(prepare_config(copy.deepcopy(config)))


@pytest.mark.parametrize(
    ("key", "value"), [("idle_timeout_minutes", -1), ("max_wokers", 3), ("max_workers", "many")]
)
def test_the_launcher_would_refuse_a_slip(config, key, value):
    broken = {**copy.deepcopy(config), key: value}
    with pytest.raises(jsonschema.ValidationError):
        validate_config(prepare_config(broken))


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
    starts = config["head_start_ray_commands"] + config["worker_start_ray_commands"]
    starts = [command for command in starts if "ray start" in command]
    assert len(starts) == 2
    for command in starts:
        assert "RAY_AUTH_MODE=token" in command
        assert "--disable-usage-stats" in command
        assert "RAY_USAGE_STATS_ENABLED=0" in command
    assert any(path.endswith("/.ray/auth_token") for path in config["file_mounts"])
    assert "--dashboard-host=127.0.0.1" in starts[0]
