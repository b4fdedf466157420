"""Security: what docs/security.md promises, held against the code and against hostile files."""

from __future__ import annotations

import ast
import json
import os
import pickle
import re
import shlex
import shutil
import stat
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import zarr
from tiny_production import make_production, write_shots

from facecap_core.errors import FacecapError, ModelError, ProductionError, StoreError
from facecap_core.learning.model import load_model
from facecap_core.names import is_name
from facecap_core.pointcaches.npy import NpyCache
from facecap_core.productions.production import load_production
from facecap_core.stores.groups import GroupReader, new_group
from facecap_core.stores.paths import StorePaths
from farm.head import LocalHead
from farm.hooks import words
from jobs.errors import JobNotFound
from jobs.ledger import Ledger, find_job
from jobs.models import list_models
from jobs.records import ShotRecord, Submission
from jobs.request import InferRequest, IngestRequest, TrainRequest, parse_request

ROOT = Path(__file__).parents[1]
SOURCES = [
    f for package in ("farm", "jobs", "facecap_core") for f in (ROOT / package).rglob("*.py")
]
HOSTILE = [
    "../../x",
    "/etc/passwd",
    "..",
    ".hidden",
    "a/b",
    "a\\b",
    "a\nb",
    "-rf",
    "$(touch x)",
    "",
]
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "compile",
    "__import__",
    "os.system",
    "os.popen",
    "torch.load",
    "torch.save",
    "torch.jit.load",
    "yaml.load",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
}


def dotted(node):
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def faults(source, path):
    """What must not be in our code, as `file:line what`."""
    for node in ast.walk(ast.parse(source)):
        found = []
        if isinstance(node, ast.Import):
            found = [a.name for a in node.names if a.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom):
            found = [node.module] if (node.module or "").split(".")[0] in FORBIDDEN_MODULES else []
        elif isinstance(node, ast.Call):
            name = dotted(node.func)
            options = {k.arg: k.value for k in node.keywords}
            found = [name] if name in FORBIDDEN_CALLS else []
            for option in ("shell", "allow_pickle"):
                value = options.get(option)
                if value is not None and not (
                    isinstance(value, ast.Constant) and value.value is False
                ):
                    found.append(f"{option}=")
            if name in ("np.load", "numpy.load") and "allow_pickle" not in options:
                found.append(name)
        for what in found:
            yield f"{path}:{node.lineno} {what}"


def test_no_code_of_ours_unpickles_or_builds_a_shell_command():
    assert len(SOURCES) > 100
    found = [fault for f in SOURCES for fault in faults(f.read_text(), f.relative_to(ROOT))]
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "torch.load(path)",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "subprocess.run(command, shell=True)",
        "subprocess.run(command, shell=flag)",
        "os.system(command)",
        "eval(text)",
    ],
)
def test_such_code_would_be_found(line):
    assert list(faults(line, "x.py"))


def test_the_command_that_ray_gives_to_a_shell_is_quoted():
    """Ray runs a driver's command line through a shell; there is one place that makes one."""
    made = [f for f in SOURCES if re.search(r"\bentrypoint = ", f.read_text())]
    assert [f.name for f in made] == ["submission.py"]
    assert "entrypoint = shlex.join([python, " in made[0].read_text()
    folder = "/shows/it's; touch $(x) `y`/store/jobs/ingest-ada-0"
    command = shlex.join(["python", "-P", "-m", "jobs.entry", folder])
    assert shlex.split(command)[-1] == folder


# -- names -------------------------------------------------------------------------------------


@pytest.fixture
def production(tmp_path):
    return load_production(make_production(tmp_path / "tiny", train=1, frames=2))


@pytest.mark.parametrize("name", [name for name in HOSTILE if name])
def test_hostile_shot_names_in_shots_csv_are_refused(tmp_path, name):
    folder = make_production(tmp_path / "tiny", train=1, frames=2)
    rows = [("train_0", "ada", "rom", "train", "caches/train_0.pc2", "footage/train_0.mp4")]
    write_shots(folder, [*rows, (name, "ada", "", "", "", "footage/train_0.mp4")])
    with pytest.raises(ProductionError) as refused:
        load_production(folder)
    assert any("shot's name" in fault.message for fault in refused.value.faults)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "place", [("shots", 0), ("models", "key"), ("models", "value"), ("cameras", "value")]
)
def test_hostile_names_in_a_request_are_refused(production, name, place):
    """A ledger's request.json may be anyone's who can write the store."""
    request = InferRequest(
        settings=production.model_dump(mode="json", include={"units"}),
        models={"ada": "cpu-1"},
        cameras={"ada": "center"},
        shots=("train_0",),
    )
    fields = request.model_dump(mode="json")
    key, part = place
    if part == 0:
        fields[key] = [name]
    else:
        (actor, value), *_ = fields[key].items()
        fields[key] = {name: value} if part == "key" else {actor: name}
    folder = StorePaths(production.store).jobs / "infer-ada-0"
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps(fields))
    with pytest.raises(StoreError, match=r"request\.json"):
        Ledger(folder).request()
    with pytest.raises(StoreError):
        Ledger(folder).status()


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", ".hidden"])
@pytest.mark.parametrize("key", ["actors", "cameras", "actor", "camera", "training", "validation"])
def test_hostile_names_in_other_requests_are_refused(name, key):
    ingest = {"kind": "ingest", "settings": {}, "actors": ["ada"], "shots": ["a"]}
    train = {"kind": "train", "settings": {}, "actor": "ada", "camera": "center"}
    train.update(training=["a"], validation=[], config={"preset": "../../x"})
    parsed = parse_request(json.dumps(train))
    assert isinstance(parsed, TrainRequest)
    assert is_name(parsed.model)
    fields = ingest if key in ("actors", "cameras") else train
    fields[key] = name if key in ("actor", "camera") else [name]
    with pytest.raises(StoreError):
        parse_request(json.dumps(fields))


def test_a_model_is_called_what_its_folder_is_called(tmp_path):
    folder = StorePaths(tmp_path).model("ada", "cpu-1")
    folder.mkdir(parents=True)
    facts = {"model": "../../../x", "cameras": ["center"], "made": {"date": "2026-01-01"}}
    (folder / "model.json").write_text(json.dumps(facts))
    assert [model.model for model in list_models(tmp_path, ["ada"])] == ["cpu-1"]


@pytest.mark.parametrize("name", ["a..b", "x.", "_", "0.-"])
def test_names_that_pass_stay_inside_the_store(production, name):
    assert is_name(name)
    paths = StorePaths(production.store)
    for path in (
        paths.frames(name, name),
        paths.targets(name),
        paths.vertices(name, name),
        paths.model(name, name),
        paths.training_state(name, name),
    ):
        assert Path(production.store) in Path(os.path.normpath(path)).parents


@pytest.mark.parametrize("name", HOSTILE)
def test_a_ledger_keeps_to_its_folder(production, name):
    ledger = Ledger(StorePaths(production.store).jobs / "ingest-ada-0")
    for use in (
        lambda: ledger.shot_log_path(name),
        lambda: ledger.write(ShotRecord(name=name, stage="ingest")),
        lambda: ledger.log_path(ShotRecord(name=name, stage="ingest")),
        lambda: ledger.skip(name),
        lambda: ledger.skip_requested(name),
    ):
        with pytest.raises(JobNotFound):
            use()


@pytest.mark.parametrize("name", ["../../etc", "/etc", "..", ".", "../jobs/x", "a/../../x"])
def test_hostile_job_names_find_nothing(production, name):
    jobs = StorePaths(production.store).jobs
    outside = production.store.parent / "x"
    outside.mkdir()
    (outside / "request.json").write_text("{}")
    with pytest.raises(JobNotFound):
        find_job(jobs, name)


@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "../../etc"],
        ["logs", "../../etc"],
        ["cancel", "../../etc"],
        ["retry", "/etc"],
        ["logs", "--shot", "../../secret"],
        ["logs", "--shot", "/etc/passwd"],
    ],
)
def test_hostile_names_on_the_command_line_find_nothing(farm, tmp_path, arguments):
    folder = make_production(tmp_path / "tiny", train=1, frames=2)
    found = load_production(folder)
    request = IngestRequest(settings={}, actors=("ada",), shots=("train_0",))
    ledger = Ledger.create(StorePaths(found.store).jobs, request)
    secret = ledger.folder.parent / "secret.log"
    secret.write_text("nobody's business\n")
    assert (ledger.folder / "logs" / "../../secret.log").resolve(strict=False) == secret
    printed = farm.run(folder, *arguments, code=102)
    assert "nobody" not in printed


# -- what the store holds ----------------------------------------------------------------------


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (Path(self.path),))


@pytest.fixture
def bomb(tmp_path):
    path = tmp_path / "went off"
    data = pickle.dumps(Bomb(path))
    pickle.loads(data)  # noqa: S301 the test of the test: it does go off
    assert path.exists()
    path.unlink()
    yield data
    assert not path.exists(), "something was unpickled"


def store_with(folder, change, data):
    """A group like ours whose array's metadata is changed and whose first chunk is `data`."""
    path = folder / "shot.zarr"
    with new_group(path) as group:
        array = group.array(
            "positions",
            row_shape=(4, 3),
            dtype="float32",
            dimension_names=("frame", "vertex", "xyz"),
        )
        array.append(np.zeros((3, 4, 3), np.float32))
    inside = Path(os.path.realpath(path)) / "positions"
    metadata = json.loads((inside / "zarr.json").read_text())
    metadata.update(change)
    (inside / "zarr.json").write_text(json.dumps(metadata))
    (inside / "c" / "0" / "0" / "0").write_bytes(data)
    return path


BYTES = {"name": "bytes", "configuration": {"endian": "little"}}


@pytest.mark.parametrize(
    "change",
    [
        {"codecs": [{"name": "numcodecs.pickle", "configuration": {}}]},
        {"codecs": [{"name": "pickle"}]},
        {"codecs": [{"name": "numcodecs.pcodec", "configuration": {"id": "pickle"}}]},
        {"codecs": [BYTES, {"name": "numcodecs.zlib", "configuration": {"id": "pickle"}}]},
        {"codecs": [BYTES, {"name": "numcodecs.bz2", "configuration": {}}]},
        {"data_type": "object"},
        {"data_type": "|O"},
        {"data_type": "string", "fill_value": "", "codecs": [{"name": "vlen-utf8"}]},
    ],
    ids=lambda change: re.sub(r"\W+", " ", json.dumps(change)),
)
def test_an_array_of_a_strangers_making_is_refused(tmp_path, bomb, change):
    path = store_with(tmp_path, change, bomb)
    with pytest.raises(StoreError):
        GroupReader(path).read("positions")


def test_zarr_v2_whose_filters_may_unpickle_is_not_read(tmp_path, bomb):
    path = tmp_path / "old.zarr"
    group = zarr.open_group(path, mode="w", zarr_format=2)
    group.attrs.update(schema_version=1, frames=1)
    array = path / "positions"
    array.mkdir()
    filters = [{"id": "pickle", "protocol": 5}]
    fields = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "compressor": None}
    fields.update(filters=filters, fill_value=None, order="C", dimension_separator=".")
    (array / ".zarray").write_text(json.dumps(fields))
    (array / "0").write_bytes(bomb)
    with pytest.raises(StoreError):
        GroupReader(path)
    mixed = store_with(tmp_path, {}, b"")
    inside = Path(os.path.realpath(mixed)) / "positions"
    shutil.rmtree(inside)
    shutil.copytree(array, inside)
    with pytest.raises(StoreError):
        GroupReader(mixed).read("positions")


def test_a_pickle_in_place_of_a_model_or_a_cache_is_refused(tmp_path, bomb):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.safetensors").write_bytes(bomb)
    (folder / "model.json").write_bytes(bomb)
    with pytest.raises((ModelError, UnicodeDecodeError)):
        load_model(folder, "cpu")
    cache = tmp_path / "cache.npy"
    np.save(cache, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(FacecapError):
        NpyCache(cache, vertex_count=4)


# -- commands and tokens -----------------------------------------------------------------------


def test_a_hook_is_words_and_no_shell():
    assert words("echo 'a b' ; $(touch x)") == ["echo", "a b", ";", "$(touch", "x)"]


@pytest.fixture
def listener():
    """A server on this machine that notes the headers of what it is asked, and answers nothing of use."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            asked.append(dict(self.headers))
            self.send_response(404)
            self.end_headers()

        do_GET = do_POST = answer  # noqa: N815 the names that http.server calls

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("named", [False, True])
def test_the_token_goes_to_no_address_that_only_the_ledger_names(farm, tmp_path, listener, named):
    """A ledger may be anyone's who can write the store; the address that the user names is the user's."""
    address, asked = listener
    folder = make_production(tmp_path / "tiny", train=1, frames=2)
    request = IngestRequest(settings={}, actors=("ada",), shots=("train_0",))
    ledger = Ledger.create(StorePaths(load_production(folder).store).jobs, request)
    submission = Submission(
        attempt=1,
        submission_id=f"{ledger.job}-1",
        production=str(folder / "production.toml"),
        address=address,
        dashboard=address,
        submitted=time.time(),
        host="elsewhere",
    )
    ledger.write_submission(submission)
    token = tmp_path / "token"
    token.write_text("f" * 64 + "\n")
    variables = {"RAY_AUTH_TOKEN_PATH": str(token)}
    if named:
        variables["RAY_ADDRESS"] = address
    farm.run(folder, "cancel", ledger.job, **variables)
    assert Ledger(ledger.folder).cancel_requested()
    sent = [headers for headers in asked if "Authorization" in headers]
    assert bool(sent) == named


@pytest.mark.cluster
def test_the_token_is_in_no_log(farm, tmp_path):
    folder = make_production(tmp_path / "tiny", train=2, frames=4)
    found = json.loads(farm.run(folder, "submit", "ingest", "--wait", "--json"))
    assert found["counts"]["solved"] == 2
    farm.run(folder, "logs")
    head = LocalHead(farm.home)
    token = head.token_path.read_text().strip()
    assert re.fullmatch(r"[0-9a-f]{64}", token)
    assert stat.S_IMODE(head.token_path.stat().st_mode) == 0o600
    session = Path(head.state().folder)
    places = [folder, session, Path(head.state().log).parent]
    files = [f for place in places for f in place.rglob("*") if f.is_file()]
    logs = [f for f in files if f.suffix in (".log", ".out", ".err", ".json")]
    assert len(logs) > 20
    holding = [str(f) for f in files if token.encode() in f.read_bytes()]
    assert not holding
