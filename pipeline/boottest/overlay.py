"""Throw-away disks: clones of a guest's, which are gone when it has been looked at. Its own are only read."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ImageError
from pipeline.image import ext
from pipeline.image.ext import selinux
from pipeline.image.files.clone import clone
from pipeline.image.files.private import make_folder
from pipeline.image.files.sparse import free_space, space
from pipeline.image.layer.entries import Layer
from pipeline.image.layer.tree import Tree
from pipeline.model.sizes import approximate_size


@contextmanager
def thrown_away(folder: Path, disks: Sequence[Path], addition: Callable[[Tree], Layer]) -> Iterator[tuple[Path, ...]]:
    """Clones of `disks` in `folder`, a new one, while the block runs; the first has the `addition` in its root.

    What a run that was killed has left in `folder` goes first. Raises ImageError.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        make_folder(folder, 0o700)
        clones = tuple(folder / disk.name for disk in disks)
        for disk, own in zip(disks, clones, strict=True):
            _clone(disk, own)
        with ext.open(clones[0]) as filesystem:
            selinux.write(filesystem, addition(filesystem))
        yield clones
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _clone(disk: Path, own: Path) -> None:
    try:
        clone(disk, own)
    except OSError as error:
        free = approximate_size(free_space(own.parent))
        raise ImageError(
            f"{own}: {error.strerror}: a copy of {disk} takes up to {approximate_size(space(disk))}, and {free} is free"
        ) from error
