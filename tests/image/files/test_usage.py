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
from pipeline.image.files.usage import check_idle, check_unused, users
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


def test_idle(image: Path) -> None:
    check_idle(image)
    with image.open("r+b"), pytest.raises(ImageError, match="in use by somebody who cannot be seen"):
        check_idle(image)
    check_idle(image)


@pytest.mark.parametrize("flags", ["os.O_RDONLY", "os.O_RDWR"])
def test_idle_is_not_even_read(flags: str, image: Path) -> None:
    with (
        other_process(f"os.open(sys.argv[1], {flags})", image) as pid,
        pytest.raises(ImageError, match=rf"root.img is in use by process {pid} \(.*\); end that first"),
    ):
        check_idle(image)


def test_idle_is_not_on_a_loop_device(image: Path, mount: Mount) -> None:
    need_root()
    run("mkfs.ext4", "-q", image)
    point = mount(image, "-o", "loop,ro")
    with pytest.raises(ImageError, match=rf"in use by the loop device /dev/loop\d+, mounted at {point}"):
        check_idle(image)


@pytest.mark.parametrize("flags", ["os.O_RDONLY", "os.O_RDWR"])
def test_idle_for_those_who_cannot_see(flags: str, image: Path) -> None:
    """The kernel knows what an ordinary user cannot see: what root has open."""
    need_root()
    with other_process(f"os.open(sys.argv[1], {flags})", image):
        assert as_nobody(image) == 1
    assert as_nobody(image) == 0


def as_nobody(image: Path) -> int:
    """1 if an ordinary user finds that the image, which is his, is not idle, and cannot say why."""
    os.chown(image, 65534, 65534)
    image.parent.chmod(0o755)
    child = os.fork()
    if child == 0:
        code = 2
        try:
            os.chdir(image.parent)
            os.setgid(65534)
            os.setuid(65534)
            check_idle(Path(image.name))
            code = 0
        except ImageError as error:
            code = 1 if "somebody who cannot be seen" in str(error) else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_what_is_no_file_is_not_idle(tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        check_idle(tmp_path / "none")
