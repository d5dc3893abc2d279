"""Domain XML, as libvirt reads it."""

from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given

from pipeline.guestlist.keys.disk import MAX_DISKS
from pipeline.guestlist.keys.nic import MAX_NICS
from pipeline.hypervisors import BY_NAME, Files
from pipeline.hypervisors.libvirt import LibvirtOptions, LibvirtType
from pipeline.model.guest import Guest
from pipeline.model.network import NicModel
from pipeline.model.virtualization import Action
from tests.guests import DOMAIN_UUID, MIB, ROOT_UUID, guest, nic
from tests.hypervisors.files import ARGUMENTS, FILES, NASTY, files_in, folders
from tests.machine import need_programs, run

libvirt = BY_NAME["libvirt"]


def defined(folder: Path, whose: Guest, files: Files) -> Element:
    """The domain that libvirt has after it was told to define `whose`; by its test driver, which runs nothing."""
    need_programs("virt-xml-validate", "virsh", "xmllint")
    path = folder / "domain.xml"
    path.write_text(libvirt.render(whose, files))
    run("virt-xml-validate", path)
    printed = run("virsh", "-c", "test:///default", f"define --validate '{path}'; dumpxml {whose.name}")
    return fromstring(printed[printed.index("<domain") :])


def test_what_libvirt_reads(tmp_path: Path) -> None:
    domain = defined(tmp_path, guest(), FILES)
    assert domain.get("type") == "kvm"
    assert {name: domain.findtext(name) for name in ("name", "uuid", "memory", "vcpu")} == {
        "name": "deb01",
        "uuid": str(DOMAIN_UUID),
        "memory": str(512 << 10),
        "vcpu": "1",
    }
    assert {name: domain.findtext(f"os/{name}") for name in ("type", "kernel", "initrd", "cmdline")} == {
        "type": "hvm",
        "kernel": str(FILES.kernel),
        "initrd": str(FILES.ramdisk),
        "cmdline": f"root=UUID={ROOT_UUID} ro console=ttyS0",
    }
    assert attributes(domain, "disk/driver", "type") == ["raw", "raw"]
    assert attributes(domain, "disk/source", "file") == [str(FILES.root), str(FILES.swap)]
    assert attributes(domain, "disk/target", "dev") == ["vda", "vdb"]
    assert attributes(domain, "interface/mac", "address") == ["00:16:3e:00:00:01"]
    assert attributes(domain, "interface/source", "bridge") == ["xenbr0"]
    assert attributes(domain, "console/target", "type") == ["serial"]


def test_devices_stay_where_they_are(tmp_path: Path) -> None:
    whole = defined(tmp_path, guest(), FILES)
    bare = defined(tmp_path, guest(swap=None), files_in("/srv", swap=False))
    slots = attributes(whole, "*/address", "slot")
    assert len(slots) == len(set(slots)) == 4
    assert attributes(bare, "*/address", "slot") == [slot for slot in slots if slot != "0x05"]


def test_as_many_network_cards_as_a_guest_may_have(tmp_path: Path) -> None:
    cards = [replace(nic(None), mac=f"00:16:3e:00:00:0{number}", bridge=f"br{number}") for number in range(MAX_NICS)]
    cards[1] = replace(cards[1], model=NicModel.E1000, mtu=9000)
    domain = defined(tmp_path, guest(nics=tuple(cards)), files_in("/srv", *(f"d{n}" for n in range(MAX_DISKS))))
    assert attributes(domain, "interface/mac", "address") == [card.mac for card in cards]
    assert attributes(domain, "interface/source", "bridge") == [card.bridge for card in cards]
    assert attributes(domain, "interface/model", "type") == ["virtio", "e1000", *["virtio"] * (MAX_NICS - 2)]
    assert attributes(domain, "interface/mtu", "size") == ["9000"]
    assert attributes(domain, "interface/address", "slot") == [f"{16 + number:#04x}" for number in range(MAX_NICS)]


def test_more_disks(tmp_path: Path) -> None:
    domain = defined(tmp_path, guest(), files_in("/srv", "data", "logs"))
    bare = defined(tmp_path, guest(swap=None), files_in("/srv", "data", "logs", "last", swap=False))
    assert attributes(domain, "disk/target", "dev") == ["vda", "vdb", "vdc", "vdd"]
    assert attributes(domain, "disk/source", "file")[2:] == ["/srv/data.img", "/srv/logs.img"]
    assert [serial.text for serial in domain.iterfind("devices/disk/serial")] == ["data", "logs"]
    slots = attributes(domain, "disk/address", "slot")
    assert attributes(bare, "disk/address", "slot") == [slots[0], *slots[2:], "0x08"]
    many = defined(tmp_path, guest(), files_in("/srv", *map(str, range(MAX_DISKS))))
    assert len(set(attributes(many, "*/address", "slot"))) == MAX_DISKS + 4


def test_a_kernel_without_an_initrd_finds_its_root_by_the_device(tmp_path: Path) -> None:
    domain = defined(tmp_path, guest(), files_in("/srv", ramdisk=False))
    assert domain.find("os/initrd") is None
    assert domain.findtext("os/cmdline") == "root=/dev/vda ro console=ttyS0"


def test_what_means_something_in_xml(tmp_path: Path) -> None:
    files = files_in(NASTY)
    domain = defined(tmp_path, guest(), files)
    assert domain.findtext("os/kernel") == str(files.kernel)
    assert attributes(domain, "disk/source", "file") == [str(files.root), str(files.swap)]


def test_what_may_change_and_what_follows(tmp_path: Path) -> None:
    changes = guest(
        maxmem=1024 * MIB,
        maxvcpus=4,
        on_crash=Action.COREDUMP_RESTART,
        extra="""quiet a='<&>' b="c" \\""",
        libvirt=LibvirtOptions(type=LibvirtType.QEMU),
    )
    domain = defined(tmp_path, changes, FILES)
    assert domain.get("type") == "qemu"
    names = ("memory", "currentMemory", "vcpu", "on_poweroff", "on_reboot", "on_crash", "os/cmdline")
    assert [domain.findtext(name) for name in names] == [
        *(str(1024 << 10), str(512 << 10), "4"),
        *("destroy", "restart", "coredump-restart"),
        f"root=UUID={ROOT_UUID} ro console=ttyS0 {changes.extra}",
    ]
    assert [vcpu.get("current") for vcpu in domain.iterfind("vcpu")] == ["1"]


@pytest.mark.parametrize(
    ("event", "action"),
    [("on_poweroff", Action.RESTART), ("on_reboot", Action.DESTROY), *(("on_crash", action) for action in Action)],
)
def test_every_action(tmp_path: Path, event: str, action: Action) -> None:
    assert defined(tmp_path, guest(**{event: action}), FILES).findtext(event) == action


@given(extra=ARGUMENTS)
def test_any_kernel_arguments_are_what_they_were(extra: str) -> None:
    text = fromstring(libvirt.render(guest(extra=extra), FILES)).findtext("os/cmdline")
    assert text == f"root=UUID={ROOT_UUID} ro console=ttyS0 {extra}"


@given(folder=folders())
def test_any_path_is_what_it_was(folder: str) -> None:
    files = files_in(folder)
    domain = fromstring(libvirt.render(guest(), files))
    assert domain.findtext("os/kernel") == str(files.kernel)
    assert attributes(domain, "disk/source", "file") == [str(files.root), str(files.swap)]


def attributes(domain: Element, path: str, name: str) -> list[str | None]:
    return [element.get(name) for element in domain.iterfind(f"devices/{path}")]
