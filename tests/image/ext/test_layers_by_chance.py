"""Layers of random entries: the kernel finds what a model of a few lines predicts, and e2fsck nothing."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.image import ext
from pipeline.image.files.clone import clone
from pipeline.image.layer.entries import (
    Content,
    Directory,
    Entry,
    File,
    HardLink,
    Kind,
    Metadata,
    Removal,
    Special,
    Symlink,
)
from tests.image import images
from tests.machine import mounted, need_root

LEFT_OUT = Metadata(mode=0o755)
TYPES = {
    Kind.BLOCK: stat.S_IFBLK,
    Kind.CHARACTER: stat.S_IFCHR,
    Kind.FIFO: stat.S_IFIFO,
    Kind.SOCKET: stat.S_IFSOCK,
}

# Few names, so that entries meet; symlinks lead nowhere, so that the model need not follow them.
PATHS = st.lists(st.sampled_from(["a", "b", "n" * 255, "\udcff\n'\""]), min_size=1, max_size=3).map("/".join)
METADATA = st.builds(
    Metadata,
    mode=st.integers(0, 0o7777),
    uid=st.integers(0, 2**32 - 2),
    mtime=st.integers(-(2**31) * 10**9, 2**33 * 10**9),
)
CONTENTS = st.sampled_from([0, 1, 59, 60, 4095, 4096, 4097, 50_000]).map(lambda size: Content.of(b"D" * size))
TARGETS = st.sampled_from([1, 59, 60, 3000]).map(lambda length: "t" * length)
ENTRIES = st.one_of(
    st.builds(File, PATHS, METADATA, CONTENTS),
    st.builds(Directory, PATHS, METADATA),
    st.builds(Symlink, PATHS, METADATA.map(lambda metadata: Metadata(mode=0o777, mtime=metadata.mtime)), TARGETS),
    st.builds(HardLink, PATHS, PATHS),
    st.builds(Special, PATHS, METADATA, st.sampled_from(Kind), st.integers(0, 4095), st.integers(0, 2**20 - 1)),
    st.builds(Removal, PATHS),
)


@dataclass(eq=False)
class Node:
    """A directory, or anything else, which may be in several of them."""

    entry: File | Directory | Symlink | Special
    children: dict[str, "Node"] = field(default_factory=dict)


class Model:
    """What a file system should have in it after some entries were applied; those that do not fit are left out."""

    def __init__(self) -> None:
        self.root = Node(Directory("", LEFT_OUT))

    def take(self, entry: Entry) -> bool:
        """Apply `entry`, and say whether it fits."""
        *above, name = entry.path.split("/")
        parents = [self._find("/".join(above[: depth + 1])) for depth in range(len(above))]
        there = self._find(entry.path)
        if isinstance(entry, Removal):
            if there is not None:
                self._directory(above).pop(name)
            return True
        if any(parent is not None and not isinstance(parent.entry, Directory) for parent in parents):
            return False
        if there is not None and isinstance(there.entry, Directory) and not isinstance(entry, Directory):
            return False
        if isinstance(entry, HardLink):
            target = self._find(entry.target)
            if target is None or isinstance(target.entry, Directory):
                return False
            self._directory(above)[name] = target
        elif isinstance(entry, Directory) and there is not None and isinstance(there.entry, Directory):
            there.entry = entry
        else:
            self._directory(above)[name] = Node(entry)
        return True

    def nodes(self) -> Iterator[tuple[str, Node]]:
        """Everything, sorted by its path."""
        pending = sorted(self.root.children.items(), reverse=True)
        while pending:
            path, node = pending.pop()
            yield path, node
            pending += [(f"{path}/{name}", child) for name, child in sorted(node.children.items(), reverse=True)]

    def _find(self, path: str) -> Node | None:
        node: Node | None = self.root
        for name in path.split("/"):
            node = node.children.get(name) if node is not None else None
        return node

    def _directory(self, path: list[str]) -> dict[str, Node]:
        node = self.root
        for depth, name in enumerate(path):
            node = node.children.setdefault(name, Node(Directory("/".join(path[: depth + 1]), LEFT_OUT)))
        return node.children


def predicted(model: Model) -> dict[str, object]:
    first_names: dict[int, str] = {}
    return {path: (first_names.setdefault(id(node), path), *facts(node.entry)) for path, node in model.nodes()}


def facts(entry: File | Directory | Symlink | Special) -> tuple[object, ...]:
    metadata = entry.metadata
    known = (metadata.mode, metadata.uid, metadata.mtime)
    match entry:
        case File():
            return (stat.S_IFREG, *known, entry.content.read())
        case Directory():
            return (stat.S_IFDIR, *known, None)
        case Symlink():
            return (stat.S_IFLNK, *known, entry.target)
        case Special():
            is_device = entry.kind in (Kind.BLOCK, Kind.CHARACTER)
            return (TYPES[entry.kind], *known, os.makedev(entry.major, entry.minor) if is_device else 0)


def found(top: Path) -> dict[str, object]:
    first_names: dict[int, str] = {}
    return {
        name: (
            first_names.setdefault(status.st_ino, name),
            stat.S_IFMT(status.st_mode),
            stat.S_IMODE(status.st_mode),
            status.st_uid,
            status.st_mtime_ns,
            inside(path, status),
        )
        for path, status in walk(top)
        for name in [str(path.relative_to(top))]
    }


def walk(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in sorted(folder.iterdir()):
        status = path.lstat()
        if path.name != "lost+found":
            yield path, status
            if stat.S_ISDIR(status.st_mode):
                yield from walk(path)


def inside(path: Path, status: os.stat_result) -> object:
    match stat.S_IFMT(status.st_mode):
        case stat.S_IFREG:
            return path.read_bytes()
        case stat.S_IFDIR:
            return None
        case stat.S_IFLNK:
            return str(path.readlink())
        case _:
            return status.st_rdev


@pytest.fixture(scope="module", params=images.FILE_SYSTEMS)
def empty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_root()
    return images.formatted(tmp_path_factory.mktemp("empty"), request.param)


@settings(max_examples=settings().max_examples // 2)  # each is a mount
@given(layers=st.lists(st.lists(ENTRIES, max_size=30), min_size=1, max_size=3))
def test_any_layers(empty: Path, layers: list[list[Entry]]) -> None:
    model = Model()
    with TemporaryDirectory() as name:
        folder = Path(name)
        clone(empty, folder / "image")
        for layer in layers:
            with ext.open(folder / "image") as filesystem:
                filesystem.apply(entry for entry in layer if model.take(entry))
            images.check(folder / "image")
        # The driver for ext4 mounts all three, and knows of nanoseconds and times after 2038.
        with mounted(folder / "image", folder / "mounted", "-t", "ext4", "-o", "loop,ro") as point:
            assert found(point) == predicted(model)
