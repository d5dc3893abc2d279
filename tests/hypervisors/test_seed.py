"""A seed among the other disks, as each hypervisor's own reader sees it."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest

from pipeline.guestlist.keys.disk import MAX_DISKS
from pipeline.guestlist.keys.nic import MAX_NICS
from pipeline.hypervisors import BY_NAME, Files
from pipeline.hypervisors.xen import XenDevices, XenOptions, XenType
from tests.guests import guest, nic
from tests.hypervisors import xlutil
from tests.hypervisors.files import files_in
from tests.hypervisors.test_libvirt import attributes, defined
from tests.hypervisors.test_qemu import bin_folder, called_with, values

xen = BY_NAME["xen"]

__all__ = ["bin_folder"]


def seeded(*others: str, swap: bool = True) -> Files:
    return replace(files_in("/srv", *others, swap=swap), seed=PurePosixPath("/srv/seed.img"))


MANY = seeded(*map(str, range(MAX_DISKS)))


@pytest.mark.parametrize(
    ("kind", "names", "device"),
    [
        (XenType.PV, XenDevices.XVDA1, "xvdl"),
        (XenType.PVH, XenDevices.XVDA1, "xvdl"),
        (XenType.PV, XenDevices.SDA1, "sdl"),
        (XenType.HVM, XenDevices.XVDA1, "xvdn"),
    ],
)
@pytest.mark.parametrize("files", [MANY, seeded(swap=False)], ids=["many", "few"])
def test_xen(kind: XenType, names: XenDevices, device: str, files: Files) -> None:
    text = xen.render(guest(xen=XenOptions(type=kind, device_names=names)), files)
    with xlutil.reading(text) as config:
        disks = config.disks()
        assert disks[device] == "/srv/seed.img"
        assert list(disks) == list(dict.fromkeys(disks))
        assert len(disks) == len(files.disks) + (kind is XenType.HVM)
    (line,) = (line for line in text.splitlines() if "seed.img" in line)
    assert "access=ro," in line
    assert text.count("access=ro,") == 1


def test_libvirt(tmp_path: Path) -> None:
    cards = tuple(nic("10.0.0.1/24", mac=f"00:16:3e:00:00:0{number}") for number in range(MAX_NICS))
    domain = defined(tmp_path, guest(nics=cards), MANY)
    seed = domain.findall("devices/disk")[-1]
    assert seed.find("source").get("file") == "/srv/seed.img"  # type: ignore[union-attr]  # it is None otherwise
    assert seed.find("readonly") is not None
    assert len(domain.findall("devices/disk/readonly")) == 1
    slots = attributes(domain, "*/address", "slot")
    assert len(slots) == len(set(slots)) == len(MANY.disks) + MAX_NICS + 1
    few = defined(tmp_path, guest(), seeded(swap=False))
    assert attributes(few, "disk/address", "slot")[-1] == attributes(domain, "disk/address", "slot")[-1]


def test_qemu(bin_folder: Path) -> None:
    arguments = called_with(bin_folder, guest(), seeded("data"))
    assert values(arguments, "-drive")[-1] == "if=none,id=disk20,format=raw,readonly=on,file=/srv/seed.img"
    assert "virtio-blk-pci,drive=disk20,addr=0x18,serial=seed" in values(arguments, "-device")
