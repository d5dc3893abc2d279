"""Nothing in an artifact tells when it was built: that the bytes are the same a second later would not be enough."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.image.disk import base, root, swap
from pipeline.image.layer.entries import Directory, Entry, Removal, text
from tests.image import images
from tests.image.images import FILE_SYSTEMS, MIB
from tests.layers import PLAIN, link
from tests.machine import run

MASTER: list[Entry] = [
    Directory("", PLAIN),
    *(text(f"large/{number}", "x" * number) for number in range(1000)),
    link("slow", "t" * 100),
    text("gone", ""),
]
IDENTITY: list[Entry] = [text("etc/hostname", "guest\n"), text("large/new", ""), Removal("gone"), link("a", "b")]


def build_base(folder: Path, filesystem: str) -> Path:
    return images.populated(folder, MASTER, filesystem)


def build_root(folder: Path, filesystem: str) -> Path:
    master = images.populated(folder, MASTER, filesystem)
    root.build(master, folder / "root.img", lambda _: IDENTITY, UUID(int=7), allocate=False)
    return folder / "root.img"


def build_adopted(folder: Path, filesystem: str) -> Path:
    """With the features of the host's choice, among them a UUID that only tune2fs can change."""
    options = ["-O", "metadata_csum,^metadata_csum_seed"] if filesystem == "ext4" else []
    image = images.handmade(folder / "master.img", "-t", filesystem, *options)
    base.adopt(image, folder / "base.img", 32 * MIB, None, base.of_image(image), allocate=False)
    root.build(folder / "base.img", folder / "root.img", lambda _: IDENTITY[:1], UUID(int=7), allocate=False)
    return folder / "root.img"


def build_swap(folder: Path, _filesystem: str) -> Path:
    swap.build(folder / "swap.img", MIB, UUID(int=8))
    return folder / "swap.img"


BUILDS: Mapping[str, Callable[[Path, str], Path]] = {
    "format": images.formatted,
    "base": build_base,
    "root": build_root,
    "image master": build_adopted,
    "swap": build_swap,
}


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
@pytest.mark.parametrize("build", BUILDS.values(), ids=BUILDS)
def test_no_trace_of_the_clock(build: Callable[[Path, str], Path], filesystem: str, tmp_path: Path) -> None:
    begin = int(time.time())
    image = build(tmp_path, filesystem)
    assert not images.times_in(image, range(begin, int(time.time()) + 1))


def test_the_clock_would_be_found(tmp_path: Path) -> None:
    begin = int(time.time())
    image = images.sparse(tmp_path / "image", 16 * MIB)
    run("mke2fs", "-q", "-F", image)
    assert images.times_in(image, range(begin, int(time.time()) + 1))
