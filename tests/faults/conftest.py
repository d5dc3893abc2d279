"""Where the tests of faults are at work."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.farms import Farm, Work
from tests.faults.power import mounts_of_its_own
from tests.machine import PATH, mounted, need_programs

Prepare = Callable[[type[Work]], Work]


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk that waits for nothing: these tests are about calls, and not about what a disk keeps."""
    need_programs("grub-mkimage", "qemu-img", "mkfs.vfat", "mcopy")
    if os.geteuid() != 0:
        yield tmp_path
        return
    with mounts_of_its_own(), mounted("none", tmp_path / "ground", "-t", "tmpfs", "-o", "size=1g,mode=700") as folder:
        yield folder


@pytest.fixture
def prepare(ground: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """`prepare(kind)` makes a farm on which there is work of that kind to do, and does it once, undisturbed."""
    monkeypatch.setenv("PATH", PATH)

    def make(kind: type[Work]) -> Work:
        work = kind(Farm(ground / "farm", ground / "tools"))
        work.prepare()
        return work

    return make
