"""Configurations of guests that start from their disks, as xl, libvirt and the shell read them."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.hypervisors import BY_NAME
from pipeline.hypervisors.libvirt import LibvirtOptions, LibvirtType
from pipeline.hypervisors.qemu import QemuOptions
from pipeline.hypervisors.xen import XenDevices, XenOptions, XenType
from pipeline.model.network import NicModel
from pipeline.model.virtualization import Boot, Firmware
from tests.guests import guest, nic
from tests.hypervisors import xlutil
from tests.hypervisors.files import FILES, files_in
from tests.hypervisors.test_libvirt import attributes, defined
from tests.hypervisors.test_qemu import bin_folder, called_with, values

xen = BY_NAME["xen"]

__all__ = ["bin_folder"]

HVM = XenOptions(type=XenType.HVM, device_names=XenDevices.XVDA1)
DISK = guest(
    libvirt=LibvirtOptions(type=LibvirtType.KVM, boot=Boot.DISK),
    qemu=QemuOptions(boot=Boot.DISK),
    description="a <&> 'b'",
)


def test_xen_hvm() -> None:
    models = (None, NicModel.VIRTIO, NicModel.E1000, NicModel.RTL8139)
    cards = tuple(replace(nic(None), model=model) for model in models)
    whose = guest(xen=HVM, firmware=Firmware.UEFI, nics=cards, description='say "hi" \\')
    with xlutil.reading(xen.render(whose, files_in("/srv", "data"))) as config:
        names = ("type", "bios", "boot", "serial", "kernel", "bootloader")
        assert [config.text(name) for name in names] == ["hvm", "ovmf", "c", "pty", None, None]
        assert config.disks() == {
            "xvda": "/srv/boot.img",
            "xvdb": "/srv/root.img",
            "xvdc": "/srv/swap.img",
            "xvdd": "/srv/data.img",
        }
        assert [vif.partition(",model=")[2] for vif in config.list("vif")] == ["", "virtio-net-pci", "e1000", "rtl8139"]


@pytest.mark.parametrize("kind", [XenType.PV, XenType.PVH])
def test_pygrub(kind: XenType) -> None:
    whose = guest(xen=XenOptions(type=kind, device_names=XenDevices.XVDA1, boot=Boot.PYGRUB))
    with xlutil.reading(xen.render(whose, FILES)) as config:
        assert [config.text(name) for name in ("type", "bootloader", "kernel")] == [kind, "pygrub", None]
        assert list(config.disks()) == ["xvda1", "xvda2"]


@pytest.mark.parametrize("firmware", list(Firmware))
def test_libvirt(tmp_path: Path, firmware: Firmware) -> None:
    whose = guest(libvirt=DISK.options["libvirt"], firmware=firmware, description=DISK.description)
    domain = defined(tmp_path, whose, FILES)
    assert domain.find("os/kernel") is None
    assert attributes(domain, "disk/source", "file") == [str(FILES.root), str(FILES.swap), str(FILES.boot)]
    assert attributes(domain, "disk/boot", "order") == ["2", "1"]
    assert domain.findtext("description") == DISK.description


@pytest.mark.parametrize("firmware", list(Firmware))
def test_qemu(bin_folder: Path, firmware: Firmware) -> None:
    arguments = called_with(bin_folder, guest(qemu=DISK.options["qemu"], firmware=firmware), FILES)
    assert not {"-kernel", "-initrd", "-append"} & {*arguments}
    devices = values(arguments, "-device")
    assert [device for device in devices if "bootindex" in device] == [
        "virtio-blk-pci,drive=disk0,addr=0x04,bootindex=2",
        "virtio-blk-pci,drive=boot,addr=0x1c,bootindex=1",
    ]
    drives = values(arguments, "-drive")
    assert f"if=none,id=boot,format=raw,readonly=on,file={FILES.boot}" in drives
    assert any(drive.startswith("if=pflash") for drive in drives) == (firmware is Firmware.UEFI)
