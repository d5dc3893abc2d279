"""Configurations: which files a guest has for its hypervisors."""

import stat

from tests.pipeline.conftest import Workshop

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
