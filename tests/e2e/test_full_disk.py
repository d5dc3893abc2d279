"""A full disk: one clear line, nothing half-written, and the next run completes when there is room again."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop
from tests.e2e.test_interrupted import artifacts, drafts

STEPS = 12
KIB = 1 << 10


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own to build on, whose size can be changed by `resize`."""
    if os.geteuid() != 0 and not os.environ.get("CI"):
        pytest.skip("mounting a tmpfs needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1G,mode=700", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def resize(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", disk], check=True)


def empty(disk: Path) -> None:
    for path in sorted(disk.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()


def taken(disk: Path) -> int:
    status = os.statvfs(disk)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


@pytest.mark.parametrize("allocate", ["sparse", "full"])
def test_full_at_any_stage(workshop: Workshop, disk: Path, allocate: str) -> None:
    workshop.change_list("root: 16M", f"root: {{size: 4M, fs: ext2, allocate: {allocate}}}")
    build = f"build={disk}"
    workshop.doit(build)
    whole = artifacts(disk)
    total = taken(disk)
    messages = set()
    for step in range(1, STEPS):
        empty(disk)
        resize(disk, total * step // STEPS)
        run = workshop.doit(build, check=False)
        assert run.code != 0
        assert "Traceback" not in run.output
        lines = [line for line in run.output.splitlines() if "is free" in line or "disk is full" in line]
        assert len(lines) >= 1, run.output
        messages.update(re.findall(": (the|what) ", lines[-1]))
        assert drafts(disk) == []
        there = artifacts(disk)
        assert {name for name, contents in there.items() if whole.get(name) != contents} == set()
        resize(disk, 1 << 30)
        workshop.doit(build)
        assert artifacts(disk) == whole
    # What sparse disks take is known when the master has been read, what others take before.
    assert messages == {"sparse": {"the"}, "full": {"what"}}[allocate]


@pytest.mark.parametrize(
    ("artifact", "task"),
    [
        ("bases/debian-ext4-16M/format.img", "format:debian-ext4-16M"),
        ("bases/debian-ext4-16M/root.img", "populate:debian-ext4-16M"),
        ("guests/deb01/root.img", "root:deb01"),
        ("guests/deb01/swap.img", "swap:deb01"),
        ("guests/deb01/deb01.cfg", "config:deb01"),
        ("masters/debian/vmlinuz", "kernel:debian"),
        ("masters/debian/digest", "master:debian"),
    ],
)
def test_full_at_one_stage(workshop: Workshop, disk: Path, artifact: str, task: str) -> None:
    workshop.write_master({"boot/vmlinuz-6.1": os.urandom(256 * KIB)})
    build = f"build={disk}"
    workshop.doit(build)
    whole = artifacts(disk)
    (disk / artifact).unlink()
    filler = disk / "filler"
    # Nothing is free: not even a file of one block can be written.
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, (1 << 30) - taken(disk))
    run = workshop.doit(build, check=False)
    assert run.code in (1, 2), run.output
    assert "Traceback" not in run.output
    assert "is free" in run.output or "disk is full" in run.output, run.output
    assert not (disk / artifact).exists()
    filler.unlink()
    assert task in workshop.doit(build).executed
    assert artifacts(disk) == whole


def test_what_cannot_fit_is_not_begun(workshop: Workshop, disk: Path) -> None:
    workshop.change_list("root: 16M", "root: {size: 16M, allocate: full}")
    resize(disk, 32 << 20)
    run = workshop.doit(f"build={disk}", check=False)
    assert run.code == 2
    assert run.executed == []
    assert run.output.startswith(
        f"{disk}: what is to be built takes about 128M, and 32M is free; make room for 96M more"
    )


def test_only_what_was_asked_for_must_fit(workshop: Workshop, disk: Path) -> None:
    workshop.change_list("root: 16M", "root: {size: 16M, allocate: full}")
    resize(disk, 80 << 20)
    assert workshop.doit(f"build={disk}", check=False).code == 2
    assert workshop.doit(f"build={disk}", "root:deb01").code == 0


def test_overcommitted_sparse_disks_are_warned_of(workshop: Workshop, disk: Path) -> None:
    resize(disk, 64 << 20)
    run = workshop.doit(f"build={disk}")
    assert "warning: guests may fill their sparse disks up to 85M, and 64M is free" in run.output
