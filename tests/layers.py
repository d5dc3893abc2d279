"""Layers as the tests look at them."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from pipeline.image.layer.entries import Content, Directory, Entry, File, Metadata, Symlink
from pipeline.image.layer.tree import LayerTree

LINK = Metadata(mode=0o777)
PLAIN = Metadata(mode=0o755)


def file(path: str, data: bytes) -> File:
    return File(path, Metadata(mode=0o644), Content.of(data))


def link(path: str, target: str) -> Symlink:
    return Symlink(path, LINK, target)


def tree(*layer: Entry) -> LayerTree:
    """What these entries make, with the contents of all files."""
    return LayerTree(layer, lambda _: True)


def rooted(*layer: Entry) -> LayerTree:
    """The same, with the directories that a real tree has on the way to each of them."""
    above = {str(folder) for entry in layer for folder in PurePosixPath(entry.path).parents}
    real = {entry.path for entry in layer}
    return tree(*(Directory(folder, PLAIN) for folder in sorted(above - real - {"."})), *layer)


def contents(layer: Iterable[Entry]) -> dict[str, bytes]:
    """The contents of a layer's files, by their paths."""
    return {entry.path: entry.content.read() for entry in layer if isinstance(entry, File)}


def targets(layer: Iterable[Entry]) -> dict[str, str]:
    """Where a layer's symlinks lead, by their paths."""
    return {entry.path: entry.target for entry in layer if isinstance(entry, Symlink)}
