"""The arrows between the layers run down only, and each knows only what it may know."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From what the user types down to what everything stands on; a layer may import those after it.
LAYERS = ["dodo", "commands", "tasks", "doit_glue", "proof", "host", "system", "hypervisor", "material", "image"]
LAYERS += ["process", "signals", "farm", "input_file", "errors"]
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


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
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
    opens = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name) and node.id == "open"]
    assert not opens, "only farm/source.py reads a file, by Path.open()"


def test_dodo_is_a_table_of_contents() -> None:
    assert len((ROOT / "dodo.py").read_text().splitlines()) < 100


@pytest.mark.parametrize(("layer", "path"), MODULES)
def test_modules_say_what_they_are_for(layer: str, path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, "a module starts with one sentence that says what it is for"


OPENS_ITSELF = {
    "input_file.py": "it is what opens",
    "doit_glue/catalogue.py": "its own files, looked at once they are open",
    "image/clone.py": "drafts, to be written",
    "image/grub.py": "what grub-mkimage has just made, and GRUB's own files",
    "image/header.py": "what grub-mkimage has just made, and drafts",
    "image/publish.py": "drafts, and what is published",
    "image/stream_optimized.py": "descriptors that this run has made",
    "image/swap.py": "drafts",
    "image/undo.py": "images that are resized, and their intents",
    "image/usage.py": "the kernel's files, and images, without waiting",
    "host/mount.py": "the kernel's files",
    "host/receipt.py": "receipts in the image store",
    "host/toolstack/xl.py": "the kernel's files",
    "material/host_keys.py": "keys that ssh-keygen has just made, to sync them",
    "image/overwritten.py": "images that are resized",
    "commands/graph.py": "what dot has just drawn",
    "commands/report.py": "our own page and logs",
    "tasks/manifest.py": "published artifacts",
    "image/ext.py": "to sync it; checked before",
    "host/draft.py": "to sync it",
}
"""Modules that open files to read them by other means than input_file, and which files these are: none is an input."""


OPENERS = {"", "io", "codecs", "bz2", "gzip", "lzma", "zstd", "tarfile", "zipfile"}
"""What open() is one of that takes a path, or a file that is open already."""

OPEN_ALREADY = {"packed", "fileobj"}


def opens_to_read(call: ast.Call) -> bool:
    """Whether a call opens a file by its path for reading, or may do so."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    of = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    if name != "open":
        return name in {"read_text", "read_bytes"} or (of, name) in {("shutil", "copyfile"), ("shutil", "copy")}
    if of == "os":
        return not any(flag in ast.unparse(call) for flag in ("O_WRONLY", "O_CREAT", "O_DIRECTORY"))
    if of in OPENERS:
        words = {getattr(each, "id", "") for each in call.args} | {keyword.arg for keyword in call.keywords}
        return words.isdisjoint(OPEN_ALREADY)
    modes = [each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)]
    return of not in ("ext", "self._display") and not any(mode[:1] in ("w", "x", "a") for mode in modes)


def reading_calls(path: Path) -> list[str]:
    """Calls that open files for reading, by whatever name."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if opens_to_read(call)]


@pytest.mark.parametrize(("layer", "path"), MODULES)
def test_inputs_are_opened_in_one_way(layer: str, path: Path) -> None:
    """By input_file, which neither waits for devices nor reads without a limit: a new reader cannot forget it."""
    found = reading_calls(path)
    name = str(path.relative_to(ROOT / "pipeline")) if layer != "dodo" else "dodo.py"
    if name in OPENS_ITSELF:
        assert found, f"{name} opens nothing any more: remove it from OPENS_ITSELF"
    else:
        assert found == [], f"{name}: open what others wrote by input_file.open_regular() or input_file.read()"


@pytest.mark.parametrize(
    "code",
    [
        *(
            "open(path)",
            "path.open()",
            "path.open('rb')",
            "io.open(path)",
            "os.open(path, os.O_RDONLY)",
            "gzip.open(path)",
        ),
        *("path.read_text()", "path.read_bytes()", "tarfile.open(path)", "shutil.copyfile(path, target)"),
    ],
)
def test_what_opens_is_found(code: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(code)
    assert reading_calls(tmp_path / "module.py")
