"""Configurations for VMware: the keys are those that it documents, and QEMU reads the disks."""

import re
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from pipeline.farm.model import Adapter, Allocation, Disk, Firmware, Guest, HostKernel, NicModel, Vmware
from pipeline.hypervisor import INEXPRESSIBLE, vmware
from tests.guests import BASE, DOMAIN_UUID, MIB, guest, nic
from tests.hypervisor.files import FILES, files_in

# In VMware's documentation: the handbooks of Workstation and vSphere, knowledge base articles such as 1010675 (PCI
# bridges), 2002779 (boot firmware) and 219 (MAC addresses), and the options that vmware-vdiskmanager and ovftool write.
DOCUMENTED = {
    r"\.encoding": "UTF-8",
    r"config\.version": "8",
    r"virtualHW\.version": r"\d+",
    "displayName": ".+",
    "annotation": ".+",
    "guestOS": "[A-Za-z0-9-]+",
    "firmware": "bios|efi",
    r"uuid\.bios": "([0-9a-f]{2} ){7}[0-9a-f]{2}-([0-9a-f]{2} ){7}[0-9a-f]{2}",
    r"uuid\.action": "create|keep|change",
    "memsize": r"\d+",
    "numvcpus": r"\d+",
    r"pciBridge[04567]\.present": "TRUE",
    r"pciBridge[4567]\.virtualDev": "pcieRootPort",
    r"pciBridge[4567]\.functions": "8",
    r"(scsi|sata)0\.present": "TRUE",
    r"scsi0\.virtualDev": "pvscsi|lsilogic",
    r"(scsi|sata)0:\d+\.present": "TRUE",
    r"(scsi|sata)0:\d+\.fileName": r".+\.vmdk",
    r"scsi0:\d+\.deviceType": "scsi-hardDisk",
    r"sata0:\d+\.deviceType": "disk",
    r"ethernet\d\.present": "TRUE",
    r"ethernet\d\.virtualDev": "vmxnet3|e1000|e1000e",
    r"ethernet\d\.connectionType": "bridged|nat|hostonly|custom",
    r"ethernet\d\.networkName": ".+",
    r"ethernet\d\.addressType": "static",
    r"ethernet\d\.address": "([0-9a-f]{2}:){5}[0-9a-f]{2}",
    r"ethernet\d\.checkMACAddress": "FALSE",
    r"serial0\.present": "TRUE",
    r"serial0\.fileType": "file",
    r"serial0\.fileName": ".+",
    r"floppy0\.present": "FALSE",
}


def settings(text: str) -> dict[str, str]:
    """The settings of a .vmx file: each key once, and with a value such as VMware documents."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = re.fullmatch(r'([.\w:]+) = "([^"]*)"', line)
        assert match, line
        key, value = match.groups()
        assert key not in found
        values = [allowed for pattern, allowed in DOCUMENTED.items() if re.fullmatch(pattern, key)]
        assert len(values) == 1, key
        assert re.fullmatch(values[0], value), line
        found[key] = re.sub(r"\|([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), value)
    return found


def data(name: str) -> Disk:
    return Disk(
        name=name, size=MIB, filesystem=None, allocation=Allocation.SPARSE, mount=None, label=None, uuid=DOMAIN_UUID
    )


def test_the_usual() -> None:
    found = settings(vmware.render(guest(), FILES))
    assert found["displayName"] == "deb01"
    assert (found["memsize"], found["numvcpus"], found["firmware"]) == ("512", "1", "bios")
    assert found["uuid.bios"] == "cc cc cc cc 11 11 42 22-83 33 44 44 44 44 44 44"
    assert (found["scsi0:0.fileName"], found["scsi0:1.fileName"]) == ("deb01.vmdk", "deb01-swap.vmdk")
    assert found["ethernet0.address"] == "00:16:3e:00:00:01"
    assert found["ethernet0.checkMACAddress"] == "FALSE"


def test_much() -> None:
    names = [f"disk{number}" for number in range(8)]
    much = guest(
        firmware=Firmware.UEFI,
        disks=tuple(map(data, names)),
        nics=(nic(None, mac="00:50:56:3f:00:01"), nic(None)),
        vmware=Vmware(adapter=Adapter.LSILOGIC, guest_os="debian12-64"),
        description='"a|b" <&> é # $(x)',
    )
    files = files_in("/srv", *names)
    found = settings(vmware.render(much, files))
    assert found["annotation"] == much.description
    assert (found["firmware"], found["guestOS"], found["scsi0.virtualDev"]) == ("efi", "debian12-64", "lsilogic")
    assert "ethernet0.checkMACAddress" not in found
    places = [key.partition(".")[0] for key in found if key.endswith(".fileName") and key.startswith("scsi")]
    assert places == [f"scsi0:{number}" for number in (0, 1, 2, 3, 4, 5, 6, 8, 9, 10)]  # 7 is the adapter's own
    used = {value for key, value in found.items() if key.startswith("scsi") and key.endswith(".fileName")}
    assert used == vmware.descriptors(much, files).keys()


def test_sata() -> None:
    found = settings(vmware.render(guest(vmware=Vmware(adapter=Adapter.SATA)), FILES))
    assert found["sata0:0.fileName"] == "deb01.vmdk"
    assert not [key for key in found if key.startswith("scsi")]


def test_disks_are_made_of_files_that_are_there() -> None:
    texts = vmware.descriptors(guest(disks=(data("data"),)), files_in("/srv", "data"))
    extents = {name: re.findall(r'^RW (\d+) FLAT "(.*)" 0$', text, re.MULTILINE) for name, text in texts.items()}
    assert extents == {
        "deb01.vmdk": [("2048", "header.img"), (str(16 * 2048), "root.img")],
        "deb01-swap.vmdk": [(str(512 * 2048), "swap.img")],
        "deb01-data.vmdk": [("2048", "data.img")],
    }


def test_no_swap() -> None:
    assert list(vmware.descriptors(guest(swap=None), files_in("/srv", swap=False))) == ["deb01.vmdk"]


REFUSED = {
    "memory": (guest(memory=514 * MIB), "counts memory in steps of 4M"),
    "a kernel of the host": (
        guest(host_kernel=HostKernel(kernel=PurePosixPath("/k"))),
        "boots the kernel in its root disk, not one of the host",
    ),
    "quotes": (guest(extra="a='b'"), "boots it by GRUB, which cannot hand on these arguments"),
    "quotes within a word": (guest(extra='a=b"c d"'), "boots it by GRUB, which cannot hand on these arguments"),
    "a card": (guest(nics=(replace(nic(None), model=NicModel.VIRTIO),)), "has no virtio card"),
    "a large root disk": (guest(base=replace(BASE, size=2 << 40)), "boots from root disks of less than 2T"),
}


@pytest.mark.parametrize(("whose", "message"), REFUSED.values(), ids=REFUSED)
def test_what_it_cannot_be(whose: Guest, message: str) -> None:
    assert [refusal.message for refusal in INEXPRESSIBLE["vmware"].refusals(whose)] == [message]


def test_what_it_can_be() -> None:
    assert not [*vmware.refusals(guest(extra='quiet dyndbg="file a.c +p" "b c"'))]
