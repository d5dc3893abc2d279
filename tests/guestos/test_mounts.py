"""The guest's fstab: the master's, with the guest's own root and swap."""

from dataclasses import replace
from pathlib import PurePosixPath
from uuid import UUID

import pytest

from pipeline.guestos import mounts
from pipeline.image.layer.entries import Directory
from pipeline.model.disk import Allocation, Disk, FileSystem
from pipeline.model.guest import Guest
from tests.guests import BASE, ROOT_UUID, SWAP_UUID, guest
from tests.layers import PLAIN, link, tree

pytestmark = pytest.mark.unit

ROOT = f"UUID={ROOT_UUID} / ext4 errors=remount-ro 0 1\n"
SWAP = f"UUID={SWAP_UUID} none swap sw 0 0\n"
IMAGE_MASTER = guest(base=replace(BASE, filesystem=None))

FSTABS = {
    "none": (guest(), "", ROOT + SWAP),
    "Debian's before anything was configured": (guest(), "# UNCONFIGURED FSTAB FOR BASE SYSTEM\n", ROOT + SWAP),
    "no swap": (guest(swap=None), "", ROOT),
    "the master's own root and swap": (
        guest(),
        "# <file system> <mount point>\n/dev/sda1 / ext3 defaults 0 1\nLABEL=swap none swap sw 0 0\n",
        "# <file system> <mount point>\n" + ROOT + SWAP,
    ),
    "swap on another mount point": (guest(), "/swapfile swap swap defaults 0 0\n", ROOT + SWAP),
    "others stay": (
        guest(),
        "tmpfs /tmp tmpfs size=1G 0 0\nserver:/home /home nfs rw 0 0\n",
        "tmpfs /tmp tmpfs size=1G 0 0\nserver:/home /home nfs rw 0 0\n" + ROOT + SWAP,
    ),
    "comments that look like root": (guest(), "#/dev/sda1 / ext3\n", "#/dev/sda1 / ext3\n" + ROOT + SWAP),
    "lines that are too short": (guest(), "/dev/sda1 /\n", "/dev/sda1 /\n" + ROOT + SWAP),
    "whatever the image has": (IMAGE_MASTER, "", f"UUID={ROOT_UUID} / auto errors=remount-ro 0 1\n" + SWAP),
}


def disk(name: str, mount: str | None) -> Disk:
    return Disk(
        name=name,
        size=1 << 20,
        filesystem=FileSystem.EXT3,
        allocation=Allocation.SPARSE,
        mount=PurePosixPath(mount) if mount else None,
        label=None,
        uuid=UUID(int=len(name)),
    )


def test_more_disks() -> None:
    whose = guest(swap=None, disks=(disk("a", "/srv/a b"), disk("bb", None), disk("ccc", "/srv")))
    there = "/dev/sdb1 /srv ext4 defaults 0 2\n/dev/sdc1 /srv/other ext4 defaults 0 2\n"
    assert mounts.fstab(there, whose).splitlines() == [
        "/dev/sdc1 /srv/other ext4 defaults 0 2",
        ROOT.rstrip(),
        f"UUID={UUID(int=3)} /srv ext3 defaults 0 2",
        rf"UUID={UUID(int=1)} /srv/a\040b ext3 defaults 0 2",
    ]


def test_mount_points_are_there() -> None:
    whose = guest(disks=(disk("a", "/srv/a/b"), disk("bb", "/var/log")))
    there = tree(Directory("srv", PLAIN), Directory("mnt", PLAIN), link("var", "mnt"), Directory("mnt/log", PLAIN))
    _, *points = mounts.entries(whose, there)
    assert points == [Directory("srv/a", PLAIN), Directory("srv/a/b", PLAIN)]


@pytest.mark.parametrize(("whose", "there", "expected"), FSTABS.values(), ids=FSTABS)
def test_fstab(whose: Guest, there: str, expected: str) -> None:
    assert mounts.fstab(there, whose) == expected
