"""README: its tree is that of the repository, a caption per file, and its links lead somewhere.

`python tests/test_readme.py` writes the tree anew from the files' docstrings.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "farm": "the command line: what a person types",
    "jobs": "what runs on the cluster, and the ledger of it",
    "facecap_core": "arrays and paths in, arrays and files out; knows no cluster",
    "benchmarks": "one script per question",
}
BEGIN, END = "<!-- tree: python tests/test_readme.py -->", "<!-- end of tree -->"


def caption(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    first = text.splitlines()[0] if text else ""
    return first.split(": ", 1)[-1].rstrip(".")


def tree() -> str:
    lines = []
    for folder, what in FOLDERS.items():
        lines.append(f"{folder + '/':36}{what}")
        inside = {ROOT / folder, *(p.parent for p in (ROOT / folder).rglob("*.py"))}
        for place in sorted(inside):
            depth = len(place.relative_to(ROOT / folder).parts)
            if depth:
                init = place / "__init__.py"
                what = caption(init) if init.exists() else ""
                lines.append(f"{'  ' * depth + place.name + '/':36}{what}".rstrip())
            files = (file for file in sorted(place.glob("*.py")) if file.name != "__init__.py")
            lines += [f"{'  ' * (depth + 1) + file.name:36}{caption(file)}" for file in files]
    return "\n".join("    " + line for line in lines)


def test_the_tree_is_up_to_date():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    written = readme.split(BEGIN)[1].split(END)[0].strip("\n")
    assert written == tree(), "run: python tests/test_readme.py"


def test_every_file_has_a_caption():
    files = [f for folder in FOLDERS for f in (ROOT / folder).rglob("*.py")]
    bare = [str(f) for f in files if f.name != "__init__.py" and not caption(f)]
    assert not bare


def test_links_lead_somewhere():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


if __name__ == "__main__":
    page = ROOT / "README.md"
    head, rest = page.read_text(encoding="utf-8").split(BEGIN)
    page.write_text(f"{head}{BEGIN}\n{tree()}\n{END}{rest.split(END)[1]}", encoding="utf-8")
