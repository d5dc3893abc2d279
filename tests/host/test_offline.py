"""Down means down: a disk that anybody has is not touched, and two do not touch one at once."""

import os
from pathlib import Path

import pytest

from pipeline.errors import HostError, ImageError
from pipeline.host import lock
from pipeline.host.offline import down
from tests.toolstacks import Toolstacks


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """deb01's, in an image store at the folder above."""
    toolstacks = Toolstacks(tmp_path / "bin")
    toolstacks.install("xl", "virsh")
    toolstacks.use(monkeypatch)
    disk = tmp_path / "store/deb01/root.img"
    disk.parent.mkdir(parents=True)
    disk.write_bytes(b"precious")
    return disk


def test_a_guest_that_is_down(disk: Path) -> None:
    with down(disk.parents[1], "deb01", [disk]):
        disk.write_bytes(b"grown")
    with down(disk.parents[1], "deb01", [disk]):  # the lock was given back
        assert disk.read_bytes() == b"grown"


def test_a_guest_that_runs(disk: Path) -> None:
    (disk.parents[2] / "bin/xl.domains/deb01").write_text("r-----")
    with pytest.raises(HostError, match="is not down"), down(disk.parents[1], "deb01", [disk]):
        pytest.fail("it is not down")
    with down(disk.parents[1], "deb02", [disk]):
        pass


def test_a_disk_that_is_open(disk: Path) -> None:
    descriptor = os.open(disk, os.O_RDONLY)
    with pytest.raises(ImageError, match="in use by"), down(disk.parents[1], "deb01", [disk]):
        pytest.fail("somebody reads it")
    os.close(descriptor)


def test_a_disk_that_is_not_there(disk: Path) -> None:
    with pytest.raises(ImageError, match="No such file"), down(disk.parents[1], "deb01", [disk.with_name("none")]):
        pytest.fail("nothing is known of it")


def test_a_symlink_to_a_disk(disk: Path) -> None:
    link = disk.with_name("link.img")
    link.symlink_to(disk)
    with pytest.raises(ImageError), down(disk.parents[1], "deb01", [link]):
        pytest.fail("it is somewhere else")


def test_one_at_a_time(disk: Path) -> None:
    store = disk.parents[1]
    with lock.locked(store, "deb01"):
        with pytest.raises(HostError, match=f"process {os.getpid()} is at work on guest 'deb01'"):
            down(store, "deb01", [disk]).__enter__()
        with down(store, "deb02", []):
            pass


def test_a_lock_that_is_a_symlink(disk: Path) -> None:
    store = disk.parents[1]
    (store / lock.FOLDER).mkdir()
    (store / lock.FOLDER / "deb01.lock").symlink_to(disk)
    with pytest.raises(HostError, match="cannot be locked"), lock.locked(store, "deb01"):
        pytest.fail("it is no lock of ours")
    assert disk.read_bytes() == b"precious"
