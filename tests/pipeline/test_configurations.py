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


def test_an_unknown_hypervisor(workshop: Workshop) -> None:
    workshop.change_list("10.0.0.11/24}", "10.0.0.11/24, hypervisors: [xen, qmeu]}")
    run = workshop.doit(check=False)
    assert run.output == "guests.yaml:10:53: guest 'deb01': there is no hypervisor 'qmeu'; did you mean 'qemu'?\n"
