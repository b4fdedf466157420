"""What `--json` prints: keys and types of every command, held against tests/golden/<command>.json.

`python tests/test_json_schemas.py` writes those files anew. A new key is no harm; a key that goes away
or changes its type breaks the scripts of users.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import json
import shutil
import tempfile
import time
from functools import reduce
from pathlib import Path

import pytest
from command_tree import commands
from conftest import Farm
from made_jobs import CAUSE, drive, make_job, note, submit, work
from safetensors.torch import load_file, save_file
from tiny_production import make_production, write_cache

from facecap_core.learning.presets import resolve
from facecap_core.productions.production import load_production
from farm.demo_command import print_result
from jobs.ledger import Ledger
from jobs.models import list_models
from jobs.planning import plan_infer, plan_train
from jobs.processes import this_process
from jobs.records import Moment, Try, options

pytestmark = pytest.mark.cluster

GOLDEN = Path(__file__).parent / "golden"
SMALL = ["schedule.epochs=1", "network.components=3", "network.channels=[8,8]"]
SMALL += ["network.refine=[false,false]"]
BY_NAME = {"figures", "inputs", "stale", "models", "cameras", "stages", "actors", "crops"}
BY_NAME |= {"failed", "footage", "not_judged", "paper_minutes", "minutes", "shots"}
BY_NAME |= {"by_shot", "fits", "vertices", "regions_mm", "region_amplitudes", "store_versions"}
BY_NAME |= {"weights"}
"""Objects whose keys are names of the user's own, or figures."""
TWICE = {"minutes", "shots"}
"""Those that hold such objects in turn."""
ANY = "<name>"
FREE = {"config"}
"""Objects that have a schema of their own."""


# -- keys and types of some JSON ---------------------------------------------------------------------


def node(value, key=""):
    """The form of a value: its kinds, the forms of its members."""
    if isinstance(value, dict):
        if key in FREE:
            return {"kinds": {"object"}}
        if key in BY_NAME:
            inner = [node(member, key if key in TWICE else "") for member in value.values()]
            return {"kinds": {"object"}, "members": {ANY: reduce(both, inner)} if inner else {}}
        members = {name: node(member, name) for name, member in value.items()}
        return {"kinds": {"object"}, "members": members}
    if isinstance(value, list):
        items = {"items": reduce(both, [node(item) for item in value])} if value else {}
        return {"kinds": {"array"}, **items}
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", type(None): "null"}
    return {"kinds": {kinds[type(value)]}}


def both(a, b):
    """The form of a value that can have either."""
    merged = {"kinds": a["kinds"] | b["kinds"]}
    items = [form["items"] for form in (a, b) if "items" in form]
    if items:
        merged["items"] = reduce(both, items)
    objects = [form["members"] for form in (a, b) if "members" in form]
    if objects:
        merged["members"] = {}
        for name in {name for members in objects for name in members}:
            forms = [members[name] for members in objects if name in members]
            if name != ANY and len(forms) < len(objects):
                forms.append({"kinds": {"absent"}})
            merged["members"][name] = reduce(both, forms)
    return merged


def drawn(form):
    """A form as JSON that people read: `"string | null"`, objects and arrays as themselves."""
    parts = sorted(form["kinds"] - {"object", "array"})
    if "members" in form:
        parts.append({name: drawn(inner) for name, inner in sorted(form["members"].items())})
    elif "object" in form["kinds"]:
        parts.append("object")
    if "array" in form["kinds"]:
        parts.append([drawn(form["items"])] if "items" in form else [])
    if all(isinstance(part, str) for part in parts):
        return " | ".join(parts)
    return parts[0] if len(parts) == 1 else {"one of": parts}


def schema(values):
    return json.dumps(drawn(reduce(both, map(node, values))), indent=1) + "\n"


# -- every command, run -------------------------------------------------------------------------------


class Printed:
    """Runs commands and keeps what they print."""

    def __init__(self, farm):
        self._farm = farm
        self.values = {}

    def run(self, name, folder, *arguments, code=0):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            ended = self._farm.main(folder, *arguments, "--json")
        assert ended == code, said.getvalue()
        self.values.setdefault(name, []).append(json.loads(said.getvalue()))


def all_printed(farm, base):
    """What every command prints, over productions in every state."""
    printed = Printed(farm)
    base.mkdir(exist_ok=True)
    printed.run("init", base, "init", "begun")
    _by_hand(printed, base)
    _for_real(printed, base)
    printed.run("down", base, "down")
    printed.run("up", base, "up", "--cpus", "2")
    printed.run("dashboard", base, "dashboard")
    printed.run("dashboard", base, "dashboard", "--address", "http://127.0.0.1:9")
    printed.run("submit_dry_run", base / "real", "submit", "ingest", "--dry-run")
    return printed.values


def _by_hand(printed, base):
    """The commands that read and change ledgers, over jobs that were written by hand."""
    codes = {"queued": 101, "interrupted": 101, "cancelled": 103, "failed": 100, "running": 101}
    for state, code in codes.items():
        folder = make_production(base / state, train=3, frames=2)
        ledger = make_job(folder, state)
        printed.run("status", folder, "status", code=code)
        printed.run("wait", folder, "wait", "--timeout", "0", code=code)
        printed.run("list", folder, "list")
        ledger.driver_log_path.write_text("begun\n")
        printed.run("logs", folder, "logs")
        printed.run("logs", folder, "logs", "--shot", "train_1")
    folder, running = base / "running", Ledger(next((base / "running/store/jobs").iterdir()))
    every = options(cpus=1, gpus=0.5, memory=8, max_parallel=2, hung_minutes=5, after="train-ada-0")
    submit(running, options=every, keeper=this_process(), user="ada")
    drive(running)
    earlier = [Try(host="h", started=1.0, ended=2.0, cause=CAUSE)]
    note(running, "train_1", "running", memory_gb=8.0, figures={"x": 1.0}, earlier=earlier)
    printed.run("status", folder, "status", code=101)
    printed.run("wait", folder, "wait", "--timeout", "0", code=101)
    printed.run("list", folder, "list")
    # A running job takes neither a submission nor a retry: nothing is started.
    printed.run("submit", folder, "submit", "ingest")
    printed.run("retry", folder, "retry")
    failed = Ledger(next((base / "failed/store/jobs").iterdir()))
    printed.run("report_job", base / "failed", "report", "--job", failed.job)
    printed.run("skip", base / "failed", "skip", failed.job, "train_*")
    submit(failed, cause=CAUSE)
    printed.run("status", base / "failed", "status", code=100)
    submit(failed)
    drive(failed, "failed", cause=CAUSE)
    printed.run("status", base / "failed", "status", code=100)
    interrupted = next((base / "interrupted/store/jobs").iterdir()).name
    printed.run("cancel", base / "interrupted", "cancel", interrupted)
    (base / "failed" / "footage" / "train_1.mp4").unlink()
    write_cache(base / "failed" / "caches" / "train_2.pc2", 5)
    printed.run("check", base / "failed", "check", code=100)
    (base / "failed" / "shots.csv").write_text("shot\n")
    printed.run("check", base / "failed", "check", code=100)


def _for_real(printed, base):
    """The commands that read results, over a training and a solved shot."""
    folder = make_production(base / "real", train=2, validation=1, bulk=2, frames=40)
    settings = (folder / "production.toml").read_text()
    line = 'template = "template.obj"\n'
    (folder / "animated.txt").write_text("0\n1\n2\n3\n")
    settings = settings.replace(line, line + 'animated = "animated.txt"\n')
    (folder / "production.toml").write_text(settings)
    printed.run("models", folder, "models")
    production = load_production(folder)
    config = resolve("demo", SMALL)
    training = plan_train(production, actor="ada", config=config)
    ledger = _submitted(production, training)
    for shot in training.shots:
        work(ledger, shot, "ingest")
    moment = Moment(what="train", done=1, total=9, figures={"epoch": 0.1})
    record = ledger.training().model_copy(update={"state": "running", "progress": moment})
    ledger.write(record)
    printed.run("status", folder, "status", code=101)
    work(ledger, training.model, "train")
    drive(ledger, "finished")
    printed.run("status", folder, "status")
    printed.run("models", folder, "models")
    printed.run("calibrate", folder, "calibrate")
    printed.run("report", folder, "report", "--clip", "0.2")
    solving = plan_infer(production, actor="ada", shots=None, model=None)
    ledger = _submitted(production, solving)
    for shot in solving.shots:
        work(ledger, shot, "infer")
    drive(ledger, "finished")
    printed.run("wait", folder, "wait")
    printed.run("list", folder, "list")
    printed.run("report_job", folder, "report", "--job", "infer")
    _newer_model(production)
    printed.run("status", folder, "status")
    printed.run("report", folder, "report", training.model, "demo-newer")
    printed.run("evaluate", folder, "evaluate", "--no-page")
    printed.run("regions", folder, "regions")
    (folder / "regions.json").write_text('{"groups": {"lips": [0, 1]}, "lip_pairs": [[0, 1]]}')
    (folder / "production.toml").write_text(
        settings.replace(line, line + 'regions = "regions.json"\n')
    )
    printed.run("evaluate", folder, "evaluate", "--no-page")
    printed.run("regions", folder, "regions")
    printed.run("stabilise", folder, "stabilise")
    printed.run("stabilise", folder, "stabilise", "--apply")
    for kind in ("ingest", "train", "infer"):
        preset = ["--preset", "cpu"] if kind == "train" else []
        printed.run("submit_dry_run", folder, "submit", kind, *preset, "--dry-run")
    printed.run("check", folder, "check")
    for shot in solving.shots:
        write_cache(folder / "truth" / f"{shot}.pc2", 40)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):  # farm demo itself takes minutes
        print_result(production, "ada", time.monotonic(), as_json=True)
    printed.values["demo"] = [json.loads(said.getvalue())]
    printed.run("verify", folder, "verify", "--all")
    printed.run("export", folder, "export", "--actor", "ada", "--format", "pc2")
    printed.run("export", folder, "export", "*", "--format", "npy", code=100)
    printed.run("correct", folder, "correct", "--list")
    for number in (1, 2):
        write_cache(folder / "right.pc2", 6, number)
        right = ("correct", "bulk_0", "right.pc2", "--frames", "4-9", "--force")
        printed.run("correct", folder, *right)
    printed.run("correct", folder, "correct", "bulk_0", "--remove", "1")
    printed.run("compare", folder, "compare", training.model, "demo-newer", "--threshold-mm", "0")
    printed.run("review", folder, "review", "bulk_*", "--against", "truth")
    printed.run("review", folder, "review", "*", code=100)
    printed.run("flag", folder, "flag", "--actor", "ada", "--jump-mm", "0.01")
    printed.run("flag", folder, "flag", "*", code=100)
    printed.run("suggest", folder, "suggest", "--minutes", "0.02", "--clip-seconds", "1")
    chunk = next(p for p in (folder / "store/vertices").rglob("positions/c.*") if p.is_file())
    chunk.write_bytes(chunk.read_bytes()[:-1])
    weights = production.paths.model("ada", training.model) / "weights.safetensors"
    weights.write_bytes(b"")  # which has no frames
    (production.paths.corrections("ada", "bulk_0") / "0002.zarr" / "zarr.json").unlink()
    printed.run("verify", folder, "verify", "--all", code=100)
    printed.run("correct", folder, "correct", "--list")


def _newer_model(production):
    """The model under another name and a later date, a little different: the vertices are stale then."""
    model = list_models(production.store, ["ada"])[0].model
    newer = production.paths.model("ada", "demo-newer")
    shutil.copytree(production.paths.model("ada", model), newer)
    facts = json.loads((newer / "model.json").read_text())
    facts["model"], facts["made"]["date"] = "demo-newer", "2999-01-01T00:00:00+00:00"
    (newer / "model.json").write_text(json.dumps(facts))
    tensors = load_file(newer / "weights.safetensors")
    tensors["output.bias"] += 0.01
    save_file(tensors, newer / "weights.safetensors")


def _submitted(production, request):
    ledger = Ledger.create(production.paths.jobs, request)
    submit(ledger)
    drive(ledger)
    return ledger


# -- against what was promised ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def printed(farm, tmp_path_factory):
    return all_printed(farm, tmp_path_factory.mktemp("schemas"))


@pytest.mark.parametrize("command", sorted(path.stem for path in GOLDEN.glob("*.json")))
def test_keys_and_types_are_as_promised(printed, command):
    promised, found = (GOLDEN / f"{command}.json").read_text(), schema(printed[command])
    changes = difflib.unified_diff(
        promised.splitlines(), found.splitlines(), "promised", "found", n=8, lineterm=""
    )
    assert found == promised, (
        f"farm {command} --json prints another form than before. If that is meant (and a key that is"
        " gone or of another type raises schema_version), run: python tests/test_json_schemas.py\n"
        + "\n".join(changes)
    )


def test_no_command_is_without_a_promise(printed):
    assert set(printed) == {path.stem for path in GOLDEN.glob("*.json")}
    names = {"_".join(path) for path, _ in commands()}
    lacking = {name for name in names if name.partition("_")[0] not in printed}
    assert not lacking


def test_every_object_names_its_version(printed):
    for command, values in printed.items():
        assert all(value["schema_version"] == 1 for value in values), command


def test_forms_are_told_apart():
    assert drawn(both(node({"a": 1, "b": None}), node({"a": None, "b": "x"}))) == {
        "a": "null | number",
        "b": "null | string",
    }
    assert drawn(both(node({"a": 1}), node({}))) == {"a": "absent | number"}
    assert drawn(both(node([{"a": True}]), node([]))) == [{"a": "boolean"}]
    assert drawn(both(node(None), node({"a": 1}))) == {"one of": ["null", {"a": "number"}]}
    assert drawn(node({"figures": {"x": 1.0, "y": 2}})) == {"figures": {ANY: "number"}}


def write_anew():
    """Write the golden files from what the commands print now."""
    base = Path(tempfile.mkdtemp(prefix="farm-json-"))
    own = Farm(base / "home")
    try:
        values = all_printed(own, base / "shows")
    finally:
        own.run(base, "down")
        shutil.rmtree(base)
    shutil.rmtree(GOLDEN, ignore_errors=True)
    GOLDEN.mkdir()
    for command, printed in values.items():
        (GOLDEN / f"{command}.json").write_text(schema(printed))


if __name__ == "__main__":
    write_anew()
