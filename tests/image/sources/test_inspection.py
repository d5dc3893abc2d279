"""Disks on which the root is not as plain to see as in tests/e2e/test_cloud_kinds.py, told of by a stand-in."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.errors import MasterError
from pipeline.image.sources import guestfish, inspection

NOT_THERE = "not there"
IS_ROOT = {"is-dir /etc": ["true"], "is-dir /usr": ["true"], "is-dir /usr/bin": ["true"]}


class Disk:
    """What guestfish says of a disk, command by command; else nothing."""

    def __init__(self, replies: Mapping[str, list[str]]) -> None:
        self.replies = replies
        self.mounted: list[str] = []

    def ask(self, *command: str, grows: Path | None = None, limit: int = 0) -> list[str]:
        assert command[0] == "tar-out" or (grows, limit) == (None, 0)
        reply = self.replies.get(" ".join(command), [])
        if reply == [NOT_THERE]:
            raise MasterError(f"guestfish: {command[0]}: no")
        if command[0] == "umount-all":
            self.mounted.clear()
        if command[0] == "mount-ro":
            self.mounted.append(" ".join(command[1:]))
        return reply


def packed(monkeypatch: pytest.MonkeyPatch, folder: Path, replies: Mapping[str, list[str]]) -> list[str]:
    """What is mounted when the root is packed."""
    disk = Disk(replies)

    @contextmanager
    def opened(*_: Path) -> Iterator[Disk]:
        yield disk

    monkeypatch.setattr(guestfish, "opened", opened)
    (folder / "disk.img").touch()
    inspection.pack(folder / "disk.img", folder / "root.tar")
    return disk.mounted


def test_names_of_disks_in_another_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The appliance's kernel finds two disks in any order, which libguestfs hides, but not of subvolumes."""
    replies = {
        "inspect-os": ["btrfsvol:/dev/sdb2/root"],
        "inspect-get-mountpoints btrfsvol:/dev/sda2/root": ["/home: btrfsvol:/dev/sdb2/home", "/boot: /dev/sda1"],
        "vfs-type /dev/sda1": ["ext4"],
        "is-dir /home": ["true"],
        "is-dir /boot": ["true"],
        **IS_ROOT,
    }
    assert packed(monkeypatch, tmp_path, replies) == [
        "btrfsvol:/dev/sda2/root /",
        "/dev/sda1 /boot",
        "btrfsvol:/dev/sda2/home /home",
    ]


def test_a_default_subvolume_that_is_a_snapshot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As SuSE's images have it: the root has the name of the device, and others are its snapshots."""
    replies = {
        "inspect-os": ["/dev/sda3", "btrfsvol:/dev/sda3/@/.snapshots/2/snapshot", "btrfsvol:/dev/sda3/@/old"],
        "inspect-get-mountpoints /dev/sda3": [
            "/: /dev/sda3",
            "/.snapshots: btrfsvol:/dev/sda3//@/.snapshots",
            "/var: btrfsvol:/dev/sda3//@/var",
        ],
        "is-dir /var": ["true"],
        "is-dir /.snapshots": ["true"],
        **IS_ROOT,
    }
    assert packed(monkeypatch, tmp_path, replies) == ["/dev/sda3 /", "btrfsvol:/dev/sda3//@/var /var"]


def test_a_root_that_libguestfs_makes_nothing_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    replies = {
        "list-filesystems": ["/dev/sda1: vfat", "/dev/sda2: btrfs", "/dev/sda3: xfs"],
        "mount-ro /dev/sda2 /": [NOT_THERE],
        **IS_ROOT,
    }
    assert packed(monkeypatch, tmp_path, replies) == ["/dev/sda3 /"]


def test_names_that_nobody_gives_are_left_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A subvolume's name is its maker's, and a line for guestfish is not to be."""
    replies = {
        "inspect-os": ["btrfsvol:/dev/sda2/a b", "btrfsvol:/dev/sda2/;|!id", "/dev/sda1"],
        "inspect-get-mountpoints /dev/sda1": ["/home me: /dev/sda3", "/srv: btrfsvol:/dev/sda2/x\udcff", "nonsense"],
        **IS_ROOT,
    }
    assert packed(monkeypatch, tmp_path, replies) == ["/dev/sda1 /"]


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ({"inspect-os": ["/dev/sda1", "/dev/sda2"]}, "there are several root file systems on it: /dev/sda1, /dev/sda2"),
        ({"list-filesystems": ["/dev/sda1: xfs", "/dev/sda2: crypto_LUKS"]}, "its root file system is encrypted"),
        ({"list-filesystems": ["/dev/sda1: xfs"]}, "there is no root file system on it, only 'xfs'"),
        ({}, "there is no root file system on it; those of ext2, ext3, ext4, XFS and btrfs are read"),
        ({"inspect-os": ["/dev/sda1"]}, "the root file system on it has no /usr/bin: /dev/sda1"),
        (
            {
                "inspect-os": ["/dev/sda1"],
                "inspect-get-mountpoints /dev/sda1": ["/usr: /dev/sda2"],
                "vfs-type /dev/sda2": ["xfs"],
                "is-dir /usr": ["true"],
                "mount-ro /dev/sda2 /usr": [NOT_THERE],
            },
            "what its fstab mounts at /usr cannot be mounted: guestfish: mount-ro: no",
        ),
    ],
)
def test_what_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, replies: Mapping[str, list[str]], message: str
) -> None:
    with pytest.raises(MasterError) as error:
        packed(monkeypatch, tmp_path, replies)
    assert str(error.value).startswith(message)
