"""The arrows between the layers run down only, and each knows only what it may know."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From what the user types down to what everything stands on; a layer may import those after it.
LAYERS = ["dodo", "commands", "tasks", "doit_glue", "proof", "host", "system", "hypervisor", "material", "image"]
LAYERS += ["process", "signals", "farm", "errors"]
SIDE_BY_SIDE = {("host", "system"), ("host", "hypervisor"), ("system", "hypervisor"), ("process", "farm")}
SIDE_BY_SIDE |= {("system", "material"), ("hypervisor", "material"), ("host", "material")}
SIDE_BY_SIDE |= {("proof", "host"), ("proof", "system"), ("proof", "material"), ("signals", "farm")}
IMAGE_KNOWS_OF_FARM = {"units"}  # and never a Guest
ONLY_HERE = {
    "doit": {"commands", "doit_glue", "dodo"},
    "subprocess": {"process"},
    "sqlite3": {"doit_glue"},
    "cffi": {"image"},
    "yaml": {"farm", "system"},
    "jinja2": {"material"},
    "multiprocessing": {"doit_glue"},
}
PURE = {"farm", "system", "hypervisor"}
IMPURE_MODULES = {"subprocess", "shutil", "socket", "tempfile", "time"}


def modules() -> Iterator[tuple[str, Path]]:
    yield "dodo", ROOT / "dodo.py"
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        parts = path.relative_to(ROOT / "pipeline").with_suffix("").parts
        if parts != ("__init__",):
            yield parts[0], path


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


MODULES = [pytest.param(layer, path, id=str(path.relative_to(ROOT))) for layer, path in modules()]


@pytest.mark.parametrize(("layer", "path"), MODULES)
def test_imports_only_layers_below(layer: str, path: Path) -> None:
    for name in imports(path):
        if not name.startswith("pipeline."):
            continue
        other = name.split(".")[1]
        assert other in LAYERS, f"{name} is of no layer"
        assert LAYERS.index(layer) <= LAYERS.index(other), f"{layer} must not know {other}"
        assert (layer, other) not in SIDE_BY_SIDE, f"{layer} must not know {other}"
        if (layer, other) == ("image", "farm"):
            assert name.split(".")[2] in IMAGE_KNOWS_OF_FARM


@pytest.mark.parametrize(("layer", "path"), MODULES)
def test_what_only_some_may_import(layer: str, path: Path) -> None:
    for name in imports(path):
        top = name.split(".")[0]
        assert layer in ONLY_HERE.get(top, {layer}), f"{layer} must not import {top}"


@pytest.mark.parametrize(("layer", "path"), [param for param in MODULES if param.values[0] in PURE])
def test_pure_layers_touch_nothing(layer: str, path: Path) -> None:
    tops = {name.split(".")[0] for name in imports(path)}
    assert not tops & IMPURE_MODULES
    opens = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Name) and node.id == "open"]
    assert not opens, "only farm/source.py reads a file, by Path.open()"


def test_dodo_is_a_table_of_contents() -> None:
    assert len((ROOT / "dodo.py").read_text().splitlines()) < 100


@pytest.mark.parametrize(("layer", "path"), MODULES)
def test_modules_say_what_they_are_for(layer: str, path: Path) -> None:
    docstring = ast.get_docstring(parsed(path))
    assert docstring, "a module starts with one sentence that says what it is for"
