"""Configurations: which files a guest has for its hypervisors."""

import os
import stat

import pytest

from tests import machine
from tests.e2e.conftest import Workshop

ALL = "hypervisors: [xen, libvirt, qemu]"


def test_one_for_each_hypervisor(workshop: Workshop) -> None:
    workshop.change_list("10.0.0.11/24}", f"10.0.0.11/24, {ALL}}}")
    workshop.doit("config:deb01", "config:deb02")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in workshop.path("guests/deb01").iterdir()}
    assert modes == {
        "deb01.cfg": 0o444,
        "deb01.xml": 0o444,
        "deb01.qemu.sh": 0o555,
        "vmlinuz": 0o444,
        "initrd.img": 0o444,
    }
    assert {path.name for path in workshop.path("guests/deb02").iterdir()} == {"deb02.cfg", "vmlinuz", "initrd.img"}


def test_the_same_disks_under_another_hypervisor(built: Workshop) -> None:
    built.change_list("10.0.0.11/24}", "10.0.0.11/24, hypervisors: libvirt}")
    assert built.doit().executed == ["config:deb01"]
    assert built.path("guests/deb01/deb01.xml").exists()
    assert "deb01.cfg" in built.doit("prune").output


NO_PV = {"boot/config-6.1": b"CONFIG_XEN=y\n# CONFIG_XEN_PV is not set\nCONFIG_XEN_PVH=y\n"}


def test_the_kernel_runs_as_the_guests_that_there_are(workshop: Workshop) -> None:
    workshop.write_master(NO_PV)
    run = workshop.doit("kernel:debian", check=False)
    assert "cannot run as a Xen PV guest: /boot/config-6.1 lacks CONFIG_XEN_PV=y" in run.output
    workshop.change_list("swap: 1M", "swap: 1M\n  xen: pvh")
    workshop.doit("kernel:debian")
    workshop.write_master()
    run = workshop.doit("kernel:debian", check=False)
    assert "cannot run as a Xen PVH guest: /boot/config-6.1 lacks CONFIG_XEN_PVH=y" in run.output


def test_no_kernel_for_xen_where_no_guest_is_xen_s(workshop: Workshop) -> None:
    workshop.write_master({"boot/config-6.1": b"CONFIG_KVM_GUEST=y\n"})
    workshop.change_list("swap: 1M", "swap: 1M\n  hypervisors: [libvirt, qemu]")
    workshop.doit("config:*")
    workshop.change_list("10.0.0.11/24}", "10.0.0.11/24, hypervisors: [libvirt, xen]}")
    run = workshop.doit(check=False)
    assert "lacks CONFIG_XEN_PV=y" in run.output


def test_what_a_hypervisor_cannot_express(workshop: Workshop) -> None:
    workshop.change_list("10.0.0.11/24}", "10.0.0.11/24, hypervisors: [libvirt, qemu], maxmem: 1G}")
    run = workshop.doit(check=False)
    hint = "say 'maxmem: none' for guests of qemu"
    assert run.output == f"guests.yaml:10:72: guest 'deb01': qemu has nothing like maxmem; {hint}\n"


def test_an_unknown_hypervisor(workshop: Workshop) -> None:
    workshop.change_list("10.0.0.11/24}", "10.0.0.11/24, hypervisors: [xen, qmeu]}")
    run = workshop.doit(check=False)
    assert run.output == "guests.yaml:10:53: guest 'deb01': there is no hypervisor 'qmeu'; did you mean 'qemu'?\n"


ALL_BY_DISK = f"{ALL[:-1]}, vmware], xen: hvm, libvirt: {{boot: disk}}, qemu: {{boot: disk}}"


def test_guests_that_boot_from_a_disk(workshop: Workshop) -> None:
    need_grub()
    workshop.change_list("10.0.0.11/24}", f"10.0.0.11/24, {ALL_BY_DISK}}}")
    run = workshop.doit("config:deb01", "header", "root:deb01", "swap:deb01")
    assert [name for name in run.executed if name.startswith("header:")] == ["header:deb01"]
    folder = workshop.path("guests/deb01")
    assert {path.name for path in folder.iterdir()} == {
        *("deb01.cfg", "deb01.xml", "deb01.qemu.sh", "deb01.vmx", "deb01.vmdk", "deb01-swap.vmdk"),
        *("boot.img", "header.img", "root.img", "swap.img", "vmlinuz", "initrd.img"),
    }
    whole = workshop.folder / "whole.img"
    whole.write_bytes((folder / "header.img").read_bytes() + (folder / "root.img").read_bytes())
    for descriptor, raw in (("deb01.vmdk", whole), ("deb01-swap.vmdk", folder / "swap.img")):
        machine.run("qemu-img", "check", "-f", "vmdk", folder / descriptor)
        machine.run("qemu-img", "compare", "-f", "vmdk", "-F", "raw", folder / descriptor, raw)
    workshop.change_list("10.0.0.11/24,", "10.0.0.11/24, extra: quiet,")
    assert workshop.doit("header:*", "config:deb01").executed == ["header:deb01"]


def test_a_failure_of_grub(workshop: Workshop) -> None:
    workshop.change_list("10.0.0.11/24}", "10.0.0.11/24, xen: hvm}")
    programs = workshop.folder / "sbin"
    programs.mkdir()
    (programs / "grub-mkimage").write_text("#!/bin/sh\nexit 1\n")
    (programs / "grub-mkimage").chmod(0o755)
    run = workshop.doit("header:deb01", check=False, environment={"PATH": f"{programs}:{os.environ['PATH']}"})
    assert run.code != 0
    assert "grub-mkimage failed with exit code 1" in run.output
    assert "Traceback" not in run.output


REFUSED = {
    "a kernel of the host": (
        "xen: hvm, kernel: /boot/vmlinuz}",
        "guests.yaml:10:{kernel}: guest 'deb01': xen boots the kernel in its root disk, not one of the host; "
        "say 'kernel: none'",
    ),
    "pygrub for hvm": (
        "xen: {type: hvm, boot: pygrub}}",
        "guests.yaml:10:{pygrub}: guest 'deb01': xen boots HVM guests from their disks; remove it, or choose pv or pvh",
    ),
    "firmware for pv": (
        "firmware: uefi}",
        "guests.yaml:10:{uefi}: guest 'deb01': xen gives a PV guest no firmware; say 'firmware: bios', or 'xen: hvm'",
    ),
}


@pytest.mark.parametrize(("keys", "line"), REFUSED.values(), ids=REFUSED)
def test_what_a_hypervisor_cannot_do(workshop: Workshop, keys: str, line: str) -> None:
    workshop.change_list("10.0.0.11/24}", f"10.0.0.11/24, {keys}")
    listed = (workshop.folder / "guests.yaml").read_text().splitlines()[9]
    places = {"kernel": listed.find("/boot/vmlinuz"), "pygrub": listed.find("pygrub"), "uefi": listed.find("uefi")}
    run = workshop.doit(check=False)
    assert run.output == line.format(**{name: place + 1 for name, place in places.items()}) + "\n"


def need_grub() -> None:
    machine.need_programs("grub-mkimage", "qemu-img")


def test_pygrub_finds_a_menu_or_that_is_an_error(workshop: Workshop) -> None:
    workshop.change_list("10.0.0.11/24}", "10.0.0.11/24, xen: {boot: pygrub}}")
    run = workshop.doit("config:deb01", check=False)
    assert run.code == 1
    assert (
        "guest 'deb01': pygrub finds no menu in its root disk, as /boot/grub/grub.cfg or /boot/grub/menu.lst; "
        "make one in the master by update-grub, write one by `files:`, or say 'xen: {boot: kernel}'\n"
    ) in run.output
    assert not workshop.path("guests/deb01/deb01.cfg").exists()
    workshop.change_list("boot: pygrub}", "boot: pygrub}, files: {/boot/grub/menu.lst: {text: title Linux}}")
    assert workshop.doit("config:deb01").executed == ["root:deb01", "config:deb01"]
