"""The guest's fstab: the master's, with the guest's own root and swap."""

from dataclasses import replace

import pytest

from pipeline.farm.model import Guest
from pipeline.system import mounts
from tests.guests import BASE, ROOT_UUID, SWAP_UUID, guest

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


@pytest.mark.parametrize(("whose", "there", "expected"), FSTABS.values(), ids=FSTABS)
def test_fstab(whose: Guest, there: str, expected: str) -> None:
    assert mounts.fstab(there, whose) == expected
