"""No two guests of a farm share what tells guests apart: read back from the images that were built."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop


def inside(image: Path, path: str) -> str:
    """A file in an image, read by debugfs, which says on stderr what its exit code does not."""
    completed = subprocess.run(["debugfs", "-R", f"cat {path}", image], capture_output=True, text=True, check=True)
    assert "not found" not in completed.stderr, completed.stderr
    return completed.stdout


def uuid(image: Path) -> str:
    command: list[str | Path] = ["blkid", "--probe", "--match-tag", "UUID", "--output", "value", image]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


IDENTITIES: dict[str, Callable[[Path], str]] = {
    "host name": lambda guest: inside(guest / "root.img", "/etc/hostname"),
    "machine ID": lambda guest: inside(guest / "root.img", "/etc/machine-id"),
    "address": lambda guest: re.findall(r"address (\S+)", inside(guest / "root.img", "/etc/network/interfaces"))[0],
    "MAC in the image": lambda guest: inside(guest / "root.img", "/etc/systemd/network/10-eth0.link"),
    "MAC": lambda guest: re.findall(r"mac=([0-9a-f:]+)", (guest / f"{guest.name}.cfg").read_text())[0],
    "root UUID": lambda guest: uuid(guest / "root.img"),
    "swap UUID": lambda guest: uuid(guest / "swap.img"),
}


@pytest.fixture(scope="module")
def guests(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    from tests.e2e.conftest import ROOT, TINY_LIST

    folder = tmp_path_factory.mktemp("farm")
    (folder / "dodo.py").write_text((ROOT / "dodo.py").read_text())
    workshop = Workshop(folder)
    workshop.write_list(TINY_LIST)
    workshop.write_master({"etc/ssh": None, "etc/ssh/ssh_host_ed25519_key": b"the master's own"})
    workshop.doit()
    return sorted((folder / "build/guests").iterdir())


@pytest.mark.parametrize("identity", IDENTITIES.values(), ids=IDENTITIES.keys())
def test_no_two_guests_share(guests: list[Path], identity: Callable[[Path], str]) -> None:
    values = [identity(guest) for guest in guests]
    assert all(values)
    assert len(set(values)) == len(guests)


def test_no_guest_has_the_masters_host_keys(guests: list[Path]) -> None:
    for guest in guests:
        listing = subprocess.run(
            ["debugfs", "-R", "ls -p /etc/ssh", guest / "root.img"], capture_output=True, text=True, check=True
        ).stdout
        assert "ssh_host" not in listing


def test_fstab_names_the_guests_own_disks(guests: list[Path]) -> None:
    for guest in guests:
        fstab = inside(guest / "root.img", "/etc/fstab")
        assert f"UUID={uuid(guest / 'root.img')} / ext4 " in fstab
        assert f"UUID={uuid(guest / 'swap.img')} none swap " in fstab


def test_mac_in_image_and_configuration_agree(guests: list[Path]) -> None:
    for guest in guests:
        assert f"MACAddress={IDENTITIES['MAC'](guest)}\n" in IDENTITIES["MAC in the image"](guest)
