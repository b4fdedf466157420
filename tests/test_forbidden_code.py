"""Forbidden code: nothing of ours unpickles, evaluates text, or has a shell take words apart."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path

import pytest

from farm.hooks import words

ROOT = Path(__file__).parents[1]
SOURCES = [
    f for package in ("farm", "jobs", "facecap_core") for f in (ROOT / package).rglob("*.py")
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


def test_a_hook_is_words_and_no_shell():
    assert words("echo 'a b' ; $(touch x)") == ["echo", "a b", ";", "$(touch", "x)"]
