"""Configurations for VMware: no keys but known ones, libvirt reads them as they are meant, and QEMU reads the disks."""

import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from xml.etree.ElementTree import Element, fromstring

import pytest

from pipeline.hypervisors import BY_NAME
from pipeline.hypervisors.vmware import Adapter, VmwareOptions
from pipeline.model.disk import Allocation, Disk
from pipeline.model.guest import Guest
from pipeline.model.network import NicModel
from pipeline.model.virtualization import Firmware, HostKernel
from tests.guests import BASE, DOMAIN_UUID, MIB, guest, nic
from tests.hypervisors.files import FILES, files_in
from tests.machine import PATH, need_programs, run

vmware = BY_NAME["vmware"]

# Where VMware documents them is said in hypervisors/vmware.py.
DOCUMENTED = {
    r"\.encoding": "UTF-8",
    r"config\.version": "8",
    r"virtualHW\.version": r"\d+",
    "displayName": ".+",
    "annotation": ".+",
    "guestOS": "[A-Za-z0-9-]+",
    "firmware": "efi",
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
    assert (found["memsize"], found["numvcpus"]) == ("512", "1")
    assert "firmware" not in found
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
        vmware=VmwareOptions(adapter=Adapter.LSILOGIC, guest_os="debian12-64"),
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
    found = settings(vmware.render(guest(vmware=VmwareOptions(adapter=Adapter.SATA)), FILES))
    assert found["sata0:0.fileName"] == "deb01.vmdk"
    assert not [key for key in found if key.startswith("scsi")]


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with programs in the place of VMware's, which libvirt wants to see before it reads .vmx files."""
    folder = tmp_path_factory.mktemp("vmware")
    for name, line in (("vmrun", "Total running VMs: 0"), ("vmplayer", "VMware Player 17.0.0 build-20800274")):
        (folder / name).write_text(f"#!/bin/sh\necho '{line}'\n")
        (folder / name).chmod(0o755)
    return folder


def read(stand_ins: Path, text: str) -> Element:
    """What libvirt makes of a .vmx file."""
    need_programs("virsh")
    file = stand_ins / "guest.vmx"
    file.write_text(text)
    session = {"PATH": f"{stand_ins}:{PATH}", "XDG_RUNTIME_DIR": str(stand_ins)}
    virsh = ("virsh", "-c", "vmwareplayer:///session")
    return fromstring(run(*virsh, "domxml-from-native", "vmware-vmx", file, env=session))


@pytest.mark.parametrize("adapter", Adapter)
@pytest.mark.parametrize("firmware", Firmware)
def test_libvirt_reads_it(stand_ins: Path, adapter: Adapter, firmware: Firmware) -> None:
    models = (None, NicModel.VMXNET3, NicModel.E1000, NicModel.E1000E)
    whose = guest(
        firmware=firmware,
        vcpus=2,
        maxvcpus=2,
        disks=(data("data"),),
        nics=tuple(replace(nic(None), mac=f"00:50:56:{n}f:00:01", model=model) for n, model in enumerate(models, 2)),
        vmware=VmwareOptions(adapter=adapter),
        description='"a|b" <&> é # $(x)',
    )
    domain = read(stand_ins, vmware.render(whose, files_in("/srv", "data")))
    assert [domain.findtext(name) for name in ("name", "uuid", "description", "memory", "vcpu")] == [
        *("deb01", str(DOMAIN_UUID), whose.description),
        *(str(512 * 1024), "2"),
    ]
    assert [disk.get("file") for disk in domain.iterfind("devices/disk/source")] == [
        *("deb01.vmdk", "deb01-swap.vmdk", "deb01-data.vmdk")
    ]
    controller = domain.find("devices/controller")
    assert controller is not None
    expected = {Adapter.PVSCSI: "vmpvscsi", Adapter.LSILOGIC: "lsilogic", Adapter.SATA: None}
    assert (controller.get("type"), controller.get("model")) == (
        "sata" if adapter is Adapter.SATA else "scsi",
        expected[adapter],
    )
    assert [card.get("type") for card in domain.iterfind("devices/interface/model")] == [
        *("vmxnet3", "vmxnet3", "e1000", "e1000e")
    ]
    macs = [(mac.get("address"), mac.get("check")) for mac in domain.iterfind("devices/interface/mac")]
    assert macs == [(card.mac, "no" if card.mac > "00:50:56:3f:ff:ff" else None) for card in whose.nics]
    assert {bridge.get("bridge") for bridge in domain.iterfind("devices/interface/source")} == {"xenbr0"}
    assert [port.get("path") for port in domain.iterfind("devices/serial/source")] == ["deb01.serial.log"]
    system = domain.find("os")
    assert system is not None
    assert system.get("firmware") == ("efi" if firmware is Firmware.UEFI else None)


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
    assert [refusal.message for refusal in vmware.refusals(whose)] == [message]


def test_what_it_can_be() -> None:
    assert not [*vmware.refusals(guest(extra='quiet dyndbg="file a.c +p" "b c"'))]
