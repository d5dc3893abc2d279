"""Imports run one way, and each room knows only what it may know."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent

# From what the user types down to what everything stands on: a room may import those after it.
ROOMS = [
    "__main__",
    "dodo",
    "commands",
    "tasks",
    "engine",
    "boottest",
    "host",
    "guestos",
    "inputs",
    "qemu",
    "hypervisors",
]
ROOMS += ["image", "process", "signals", "guestlist", "model", "project", "input_file", "errors"]
# Rooms on one floor: neither imports the other.
SIDE_BY_SIDE = {("host", "guestos"), ("host", "qemu"), ("guestos", "hypervisors"), ("guestos", "qemu")}
SIDE_BY_SIDE |= {("process", "guestlist"), ("guestos", "inputs"), ("inputs", "hypervisors"), ("host", "inputs")}
SIDE_BY_SIDE |= {("boottest", "host"), ("boottest", "guestos"), ("boottest", "inputs"), ("signals", "guestlist")}
SIDE_BY_SIDE |= {("inputs", "qemu"), ("image", "guestlist"), ("hypervisors", "image")}
# The same inside two large rooms, for modules in rooms of their own.
FLOORS = {
    "guestlist": ["checks", "export", "resolve", "keys", "schema", "syntax"],
    "image": ["boot", "resize", "disk", "sources", "ext", "layer", "files"],
}
SIDE_BY_SIDE |= {("guestlist.checks", "guestlist.export"), ("image.boot", "image.resize")}
SIDE_BY_SIDE |= {("image.disk", "image.sources")}
IMAGE_KNOWS_OF_MODEL = {"sizes", "architecture"}  # and never a Guest
ONLY_HERE = {
    "doit": {"commands", "engine", "dodo", "__main__"},
    "subprocess": {"process"},
    "sqlite3": {"engine"},
    "cffi": {"image"},
    "cryptography": {"inputs"},
    "yaml": {"guestlist", "guestos"},
    "jinja2": {"inputs"},
    "multiprocessing": {"engine"},
}
PURE = {"guestlist", "model", "guestos"}
IMPURE_MODULES = {"subprocess", "shutil", "socket", "tempfile", "time"}


def modules() -> Iterator[tuple[str, Path]]:
    """Each module with its room: "host", "image.ext"."""
    yield "dodo", ROOT / "dodo.py"
    for path in sorted((ROOT / "pipeline").rglob("*.py")):
        parts = path.relative_to(ROOT / "pipeline").with_suffix("").parts
        if parts != ("__init__",):
            yield room(parts), path


def room(parts: tuple[str, ...]) -> str:
    """The room of the module that has these names below pipeline."""
    first, *rest = parts
    return f"{first}.{rest[0]}" if rest and rest[0] in FLOORS.get(first, ()) else first


def large(room: str) -> str:
    """The large room that a room is in, or the room itself."""
    return room.partition(".")[0]


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


def may_know(here: str, there: str) -> bool:
    """Whether the room `here` may import from the room `there`."""
    if {(here, there), (there, here)} & SIDE_BY_SIDE or (large(here), large(there)) in SIDE_BY_SIDE:
        return False
    if large(here) != large(there):
        return ROOMS.index(large(here)) < ROOMS.index(large(there))
    floors = FLOORS.get(large(here), [])
    inner = [room.partition(".")[2] for room in (here, there)]
    return not all(inner) or floors.index(inner[0]) <= floors.index(inner[1])


MODULES = [pytest.param(room, path, id=str(path.relative_to(ROOT))) for room, path in modules()]


@pytest.mark.parametrize(("here", "path"), MODULES)
def test_imports_run_one_way(here: str, path: Path) -> None:
    for name in imports(path):
        if name.startswith("pipeline."):
            there = room(tuple(name.split(".")[1:]))
            assert large(there) in ROOMS, f"{name} is in no room"
            assert may_know(here, there), f"{here} must not know {there}"
            if (large(here), there) == ("image", "model"):
                assert name.split(".")[2] in IMAGE_KNOWS_OF_MODEL


@pytest.mark.parametrize(("here", "path"), MODULES)
def test_what_only_some_may_import(here: str, path: Path) -> None:
    for name in imports(path):
        library = name.partition(".")[0]
        assert large(here) in ONLY_HERE.get(library, {large(here)}), f"{here} must not import {library}"


@pytest.mark.parametrize(("here", "path"), [param for param in MODULES if large(str(param.values[0])) in PURE])
def test_pure_rooms_touch_nothing(here: str, path: Path) -> None:
    assert not {name.partition(".")[0] for name in imports(path)} & IMPURE_MODULES
    opens = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Name) and node.id == "open"]
    assert not opens, "only guestlist/syntax/source.py reads a file, by Path.open()"


def test_dodo_is_a_table_of_contents() -> None:
    assert len((ROOT / "pipeline/dodo.py").read_text().splitlines()) < 100


@pytest.mark.parametrize(("here", "path"), MODULES)
def test_modules_say_what_they_are_for(here: str, path: Path) -> None:
    docstring = ast.get_docstring(parsed(path))
    assert docstring, "a module starts with one sentence that says what it is for"


OPENS_ITSELF = {
    "engine/run/descriptors.py": "standard streams, and /dev/null",
    "engine/state/looking.py": "the state, without waiting",
    "host/lock.py": "lock files, without following or waiting",
    "image/ext/superblock.py": "to write one, in an image that was read before",
    "image/files/content.py": "what was published",
    "image/files/private.py": "new files, and drafts",
    "tasks/master.py": "drafts",
    "tasks/ownership.py": "marks, without following or waiting",
    "input_file.py": "it is what opens",
    "engine/state/catalogue.py": "its own files, looked at once they are open",
    "image/files/clone.py": "drafts, to be written",
    "image/boot/grub.py": "what grub-mkimage has just made, and GRUB's own files",
    "image/boot/header.py": "what grub-mkimage has just made, and drafts",
    "image/files/publish.py": "drafts, and what is published",
    "image/boot/stream_vmdk.py": "descriptors that this run has made",
    "image/disk/swap.py": "drafts",
    "image/resize/undo.py": "images that are resized, and their intents",
    "image/files/usage.py": "the kernel's files, and images, without waiting",
    "host/mount.py": "the kernel's files",
    "host/receipt.py": "receipts in the image store",
    "hypervisors/xl.py": "the kernel's files",
    "image/resize/overwritten.py": "images that are resized",
    "commands/init.py": "files of this package",
    "commands/graph.py": "what dot has just drawn",
    "commands/report.py": "our own page and logs",
    "tasks/manifest.py": "published artifacts",
    "image/ext/filesystem.py": "to sync it; checked before",
    "host/staging.py": "to sync it",
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
    calls = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if opens_to_read(call)]


@pytest.mark.parametrize(("here", "path"), MODULES)
def test_inputs_are_opened_in_one_way(here: str, path: Path) -> None:
    """By input_file, which neither waits for devices nor reads without a limit: a new reader cannot forget it."""
    found = reading_calls(path)
    name = str(path.relative_to(ROOT / "pipeline")) if here != "dodo" else "dodo.py"
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
