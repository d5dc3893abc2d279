"""Down means down: a disk that anybody has is not touched, and two do not touch one at once."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.engine.state.lock import BuildLock
from pipeline.errors import GuestfarmError, HostError, ImageError
from pipeline.host import lock, retired
from pipeline.host.deploy import set_aside
from pipeline.host.offline import check_ready, down
from pipeline.host.store import RETIRED, Store
from pipeline.image import resize
from pipeline.image.resize import undo
from pipeline.image.resize.apply import Content, Disk
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


def copies(path: Path) -> list[int]:
    """Copies of this process's descriptors of `path`, as a program has that another thread is starting."""
    numbers = [int(link.name) for link in Path("/proc/self/fd").iterdir() if link.resolve() == path.resolve()]
    return [os.dup(number) for number in numbers]


def test_a_lock_is_given_back_although_a_copy_of_its_descriptor_is_left(tmp_path: Path) -> None:
    taken = lock.acquire(tmp_path / "lock")
    assert isinstance(taken, int)
    copy = os.dup(taken)
    assert lock.acquire(tmp_path / "lock") == f"process {os.getpid()}"
    lock.release(taken)
    again = lock.acquire(tmp_path / "lock")
    assert isinstance(again, int), again
    lock.release(again)
    os.close(copy)


def test_so_is_that_of_a_folder_in_which_a_disk_is_resized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    monkeypatch.setattr(undo, "sync", lambda _: left.extend(copies(tmp_path)))
    image = tmp_path / "disk.img"
    image.write_bytes(b"whatever")
    for size in (1 << 20, 2 << 20):
        resize.plan(Disk(image=image, size=size, allocate=False, content=Content.OWN)).carry_out()
        assert image.stat().st_size == size
    assert left
    for descriptor in left:
        os.close(descriptor)


def test_so_is_that_of_a_build_but_not_by_a_fork(tmp_path: Path) -> None:
    taken = BuildLock(tmp_path / "state.lock")
    taken.acquire()
    child = os.fork()
    if not child:
        taken.release()
        os._exit(0)
    os.waitpid(child, 0)
    with pytest.raises(GuestfarmError, match=f"process {os.getpid()} is building here already"):
        BuildLock(tmp_path / "state.lock").acquire()
    left = copies(tmp_path / "state.lock")
    taken.release()
    other = BuildLock(tmp_path / "state.lock")
    other.acquire()
    other.release()
    for descriptor in left:
        os.close(descriptor)


def test_a_plan_tells_what_down_would(disk: Path) -> None:
    store = disk.parents[1]
    check_ready(store, "deb01", [disk])
    assert not (store / lock.FOLDER).exists(), "a plan makes nothing"
    with lock.locked(store, "deb01"), pytest.raises(HostError, match=f"process {os.getpid()} is at work on guest"):
        check_ready(store, "deb01", [disk])
    check_ready(store, "deb01", [disk])
    with disk.open("rb"), pytest.raises(ImageError, match="in use by"):
        check_ready(store, "deb01", [disk])


def test_of_two_that_retire_a_guest_one_wins(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second saw the guest before the first was done with it, or comes while the first is at work."""
    store = Store(disk.parents[1])
    with lock.locked(store.folder, "deb01"), pytest.raises(HostError, match=f"process {os.getpid()} is at work"):
        retired.retire(store, "deb01")

    @contextmanager
    def after_the_other(folder: Path, name: str) -> Iterator[None]:
        with lock.locked(folder, name):
            set_aside(store, store.get(name), RETIRED)
        with lock.locked(folder, name):
            yield

    monkeypatch.setattr(retired, "locked", after_the_other)
    with pytest.raises(HostError, match=r"^guest 'deb01' is not deployed: there is no [^\n]*$"):
        retired.retire(store, "deb01")
    assert len(list(store.folder.glob("deb01.retired-*"))) == 1
