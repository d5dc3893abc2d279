"""What somebody wrote to, or is using, is never overwritten and never deleted without being told to."""

import fcntl
import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop

TASK = "root:deb01"
ROOT_DISK = "guests/deb01/root.img"
F_OFD_SETLK = 37  # of asm-generic/fcntl.h; Python's fcntl does not have it


def grow(path: Path) -> None:
    path.chmod(0o600)
    os.truncate(path, path.stat().st_size + 4096)
    path.chmod(0o400)


def write_behind_the_times(path: Path) -> None:
    """Change a byte, and leave size and time as they were: another inode tells."""
    before = path.stat()
    copy = path.with_name("copy")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    copy.chmod(0o400)
    os.utime(copy, ns=(before.st_atime_ns, before.st_mtime_ns))
    copy.rename(path)


def write(path: Path) -> None:
    """What a guest that runs on the disk does."""
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    path.chmod(0o400)


def truncate(path: Path) -> None:
    path.chmod(0o600)
    os.truncate(path, 0)
    path.chmod(0o400)


def make_writable(path: Path) -> None:
    path.chmod(0o600)


def write_more(path: Path) -> None:
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.write(b"x")
    path.chmod(0o400)


EVERYTHING = 20
"""The artifacts of the tiny farm."""

DIES_AFTER_ROOT = """
import os
from pipeline.engine.state.state import State
State.set = lambda *_: os.kill(os.getpid(), 9)
"""
"""At the end of a dodo.py: killed when the first task that was built is to be put on record."""

TOUCHES = [write, grow, truncate, make_writable, write_behind_the_times]


@pytest.mark.parametrize("touch", TOUCHES)
def test_a_modified_artifact_is_left_alone(built: Workshop, touch: Callable[[Path], None]) -> None:
    disk = built.path(ROOT_DISK)
    touch(disk)
    contents = disk.read_bytes()
    for arguments in ((), (TASK,), ("-a", TASK), ("-n", "2"), ("--continue",)):
        run = built.doit(*arguments, check=False)
        assert run.code == 2
        assert f"{disk}: modified since it was made" in run.output
        assert f"doit forget {TASK}" in run.output
        assert disk.read_bytes() == contents


@pytest.mark.parametrize("touch", TOUCHES)
def test_clean_leaves_it_alone_too(built: Workshop, touch: Callable[[Path], None]) -> None:
    disk = built.path(ROOT_DISK)
    touch(disk)
    contents = disk.read_bytes()
    run = built.doit("clean", check=False)
    assert run.code == 1
    assert f"{disk}: modified since it was made" in run.output
    assert disk.read_bytes() == contents
    assert list((built.folder / "build").rglob("*.img")) == [disk]


def test_even_when_its_inputs_changed(built: Workshop) -> None:
    write(built.path(ROOT_DISK))
    contents = built.path(ROOT_DISK).read_bytes()
    built.change_list("10.0.0.11/24", "10.0.0.99/24")
    assert built.doit("--continue", check=False).executed == []
    assert built.path(ROOT_DISK).read_bytes() == contents


def test_the_others_are_built_all_the_same(built: Workshop) -> None:
    write(built.path(ROOT_DISK))
    built.change_list("gateway: 10.0.0.1", "gateway: 10.0.0.2")
    run = built.doit("--continue", check=False)
    assert run.executed == ["root:deb02", "root:web01", "root:web02", "root:web03"]
    assert run.code == 2


def test_forget_is_a_way_out(built: Workshop) -> None:
    contents = built.path(ROOT_DISK).read_bytes()
    write(built.path(ROOT_DISK))
    built.doit("forget", TASK)
    assert built.doit().executed == [TASK]
    assert built.path(ROOT_DISK).read_bytes() == contents


@pytest.mark.parametrize(
    "arguments", [("forget",), ("forget", "--all"), ("forget", "root"), ("forget", "-s", "config:deb01")]
)
def test_forgetting_more_than_it_gives_nothing_away(built: Workshop, arguments: tuple[str, ...]) -> None:
    """Only what is named by itself may be overwritten though somebody wrote to it."""
    with (built.folder / "dodo.py").open("a") as dodo:
        dodo.write("DOIT_CONFIG['default_tasks'] = ['root:deb01', 'root:deb02']\n")
    disk = built.path(ROOT_DISK)
    write(disk)
    contents = disk.read_bytes()
    built.doit(*arguments)
    for run in (("--continue",), ("-a", TASK), ("clean",), ("--continue",)):
        ended = built.doit(*run, check=False)
        assert TASK not in ended.executed
        assert f"{disk}: modified since it was made" in ended.output
        assert disk.read_bytes() == contents


def test_what_was_forgotten_is_made_again_where_nobody_wrote_to_it(built: Workshop) -> None:
    run = built.doit("forget")
    assert "modified" not in run.output
    assert len(built.doit().executed) == EVERYTHING
    built.doit("forget")
    assert built.doit("reset-dep").output.count("processed") == EVERYTHING
    assert built.doit().executed == []


def test_forgetting_says_what_it_gives_away(built: Workshop) -> None:
    disk = built.path(ROOT_DISK)
    write(disk)
    assert f"{disk} was modified since it was made: the next run overwrites it" in built.doit("forget", TASK).output
    write_more(disk)
    contents = disk.read_bytes()
    assert built.doit(check=False).code == 2, "it changed after it was given away"
    assert disk.read_bytes() == contents


def test_what_a_killed_run_published_is_left_alone_once_it_is_written_to(built: Workshop) -> None:
    built.change_list("10.0.0.11/24", "10.0.0.99/24")
    (built.folder / "dodo.py").write_text((built.folder / "dodo.py").read_text() + DIES_AFTER_ROOT)
    assert built.doit(check=False).code == -9
    disk = built.path(ROOT_DISK)
    write(disk)
    contents = disk.read_bytes()
    (built.folder / "dodo.py").write_text((built.folder / "dodo.py").read_text().removesuffix(DIES_AFTER_ROOT))
    assert built.doit(check=False).code == 2
    assert disk.read_bytes() == contents
    built.doit("forget", TASK)
    assert built.doit().executed == [TASK]


def test_what_a_killed_run_published_is_made_again(built: Workshop) -> None:
    """Whatever the list says by then."""
    built.change_list("10.0.0.11/24", "10.0.0.99/24")
    (built.folder / "dodo.py").write_text((built.folder / "dodo.py").read_text() + DIES_AFTER_ROOT)
    assert built.doit(check=False).code == -9
    (built.folder / "dodo.py").write_text((built.folder / "dodo.py").read_text().removesuffix(DIES_AFTER_ROOT))
    built.change_list("10.0.0.99/24", "10.0.0.98/24")
    assert built.doit().executed == [TASK]


def test_a_copy_with_the_same_contents_is_as_good(built: Workshop) -> None:
    disk = built.path(ROOT_DISK)
    copy = disk.with_name("copy")
    copy.write_bytes(disk.read_bytes())
    copy.chmod(0o400)
    copy.rename(disk)
    assert built.doit().executed == []


def test_moving_it_away_is_a_way_out(built: Workshop) -> None:
    write(built.path(ROOT_DISK))
    built.path(ROOT_DISK).rename(built.folder / "kept.img")
    assert built.doit().executed == [TASK]


def test_a_lost_state_database_gives_nothing_away(built: Workshop) -> None:
    before = {path: path.read_bytes() for path in (built.folder / "build/guests").rglob("*") if path.is_file()}
    built.path("state.db").unlink()
    run = built.doit("--continue", check=False)
    assert run.code == 2
    assert run.executed == []
    assert {path: path.read_bytes() for path in before} == before
    built.doit("forget", "--all")
    assert built.doit(check=False).code == 2, "forgetting what is not known does not help"
    assert "not on record as it is" in built.doit("reset-dep", check=False).output
    assert {path: path.read_bytes() for path in before} == before


def test_a_failure_elsewhere_is_no_reason_to_forget(built: Workshop) -> None:
    built.write_master({"etc/too-large": bytes(24 << 20)})
    assert built.doit("--continue", check=False).code != 0
    built.write_master()
    assert built.doit().executed == ["master:debian", "kernel:debian", "populate:debian-ext4-16M"]


@pytest.fixture
def stale(built: Workshop) -> Workshop:
    """A farm in which one root disk is stale."""
    built.change_list("10.0.0.11/24", "10.0.0.99/24")
    return built


def refused(workshop: Workshop, user: str) -> None:
    contents = workshop.path(ROOT_DISK).read_bytes()
    run = workshop.doit(check=False)
    assert run.code == 1
    assert f"{workshop.path(ROOT_DISK)} is in use by " in run.output
    assert user in run.output
    assert workshop.path(ROOT_DISK).read_bytes() == contents


def test_a_disk_that_a_process_writes_to_is_refused(stale: Workshop) -> None:
    descriptor = os.open(stale.path(ROOT_DISK), os.O_RDWR)
    try:
        refused(stale, f"process {os.getpid()}")
    finally:
        os.close(descriptor)
    assert stale.doit().executed == [TASK]


def test_a_locked_disk_is_refused(stale: Workshop) -> None:
    with stale.path(ROOT_DISK).open("rb") as file:
        # What QEMU does: open file description locks on some of the image's bytes; see fcntl(2).
        fcntl.fcntl(file, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 100, 1, 0))
        refused(stale, "OFDLCK lock")


def test_a_disk_on_a_loop_device_is_refused(stale: Workshop) -> None:
    attach: list[str | Path] = ["losetup", "--find", "--show", "--read-only", stale.path(ROOT_DISK)]
    device = subprocess.run(attach, check=True, capture_output=True, text=True).stdout.strip()
    try:
        refused(stale, f"the loop device {device}")
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
