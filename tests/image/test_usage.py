"""Images that somebody is using: on which file system does not matter."""

import fcntl
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.errors import ImageError
from pipeline.image.usage import check_unused, users
from tests.conftest import Mount
from tests.image import images
from tests.image.images import MIB
from tests.machine import need_programs, need_root, run

F_OFD_SETLK = 37  # of linux/fcntl.h
US = f"process {os.getpid()} ({Path('/proc/self/comm').read_text().strip()})"


@pytest.fixture(params=["here", "btrfs", "tmpfs"])
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path
    if request.param == "btrfs":
        need_programs("mkfs.btrfs")
        mount: Mount = request.getfixturevalue("mount")
        run("mkfs.btrfs", "-q", images.sparse(tmp_path / "btrfs", 200 * MIB))
        folder = mount(tmp_path / "btrfs", "-o", "loop")
    if request.param == "tmpfs":
        folder = request.getfixturevalue("small_disk")
    return images.sparse(folder / "root.img", MIB)


@contextmanager
def other_process(script: str, image: Path) -> Iterator[int]:
    """A process that has run `script` on the image and waits to be ended."""
    code = f"import fcntl, os, sys\nfile = {script}\nprint('ready', flush=True)\nsys.stdin.read()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, image], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process.pid


def test_nobody(image: Path) -> None:
    assert not list(users(image))
    check_unused(image)


def test_a_missing_image_has_no_users(tmp_path: Path) -> None:
    check_unused(tmp_path / "root.img")


def test_readers_do_not_count(image: Path) -> None:
    with other_process("os.open(sys.argv[1], os.O_RDONLY)", image):
        assert not list(users(image))


@pytest.mark.parametrize("flags", ["os.O_WRONLY", "os.O_RDWR", "os.O_RDWR | os.O_APPEND"])
def test_a_writer(flags: str, image: Path) -> None:
    with other_process(f"os.open(sys.argv[1], {flags})", image) as pid:
        (user,) = users(image)
        assert user.startswith(f"process {pid} (")
        with pytest.raises(ImageError, match=rf"root.img is in use by process {pid} \(.*\); end that first"):
            check_unused(image)
    check_unused(image)


def test_a_lock_of_the_whole_file(image: Path) -> None:
    with image.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert list(users(image)) == [f"FLOCK lock of {US}"]


def test_a_lock_of_a_process(image: Path) -> None:
    with other_process("open(sys.argv[1], 'rb'); fcntl.lockf(file, fcntl.LOCK_SH, 1, 100)", image) as pid:
        (user,) = users(image)
        assert user.startswith(f"POSIX lock of process {pid} (")


def test_a_lock_as_qemu_has_it(image: Path) -> None:
    with image.open("rb") as file:
        fcntl.fcntl(file, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 100, 1, 0))
        assert list(users(image)) == ["OFDLCK lock"]


def test_a_loop_device(image: Path) -> None:
    need_root()
    device = run("losetup", "--find", "--show", "--read-only", image).strip()
    try:
        assert list(users(image)) == [f"the loop device {device}"]
    finally:
        run("losetup", "--detach", device)
    check_unused(image)
