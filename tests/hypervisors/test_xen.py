"""Configurations for XenOptions, as xl reads them."""

import pytest
from hypothesis import given

from pipeline.guestlist.keys.disk import MAX_DISKS
from pipeline.hypervisors import BY_NAME
from pipeline.hypervisors.xen import XenDevices, XenOptions, XenType, runs_as_pv
from pipeline.model.virtualization import Action
from tests.guests import DOMAIN_UUID, MIB, guest
from tests.hypervisors import xlutil
from tests.hypervisors.files import ARGUMENTS, FILES, files_in, folders

xen = BY_NAME["xen"]


def test_what_xl_reads() -> None:
    with xlutil.reading(xen.render(guest(), FILES)) as config:
        settings = {
            name: config.text(name) for name in ("name", "uuid", "type", "memory", "vcpus", "kernel", "ramdisk")
        }
        assert settings == {
            "name": "deb01",
            "uuid": str(DOMAIN_UUID),
            "type": "pv",
            "memory": "512",
            "vcpus": "1",
            "kernel": str(FILES.kernel),
            "ramdisk": str(FILES.ramdisk),
        }
        assert config.text("root") == "/dev/xvda1 ro"
        assert config.list("vif") == ["mac=00:16:3e:00:00:01,bridge=xenbr0"]
        assert config.disks() == {"xvda1": str(FILES.root), "xvda2": str(FILES.swap)}


def test_a_guest_with_nothing_but_a_root_disk() -> None:
    text = xen.render(guest(swap=None), files_in("/srv", swap=False, ramdisk=False))
    with xlutil.reading(text) as config:
        assert config.text("ramdisk") is None
        assert config.disks() == {"xvda1": "/srv/root.img"}


def test_more_disks() -> None:
    with xlutil.reading(xen.render(guest(), files_in("/srv", "data", "logs"))) as config:
        assert config.disks() == {
            "xvda1": "/srv/root.img",
            "xvda2": "/srv/swap.img",
            "xvdb": "/srv/data.img",
            "xvdc": "/srv/logs.img",
        }
    without_swap = files_in("/srv", *map(str, range(MAX_DISKS)), swap=False)
    old_names = guest(swap=None, xen=XenOptions(type=XenType.PV, device_names=XenDevices.SDA1))
    with xlutil.reading(xen.render(old_names, without_swap)) as config:
        assert list(config.disks()) == ["sda1", *(f"sd{letter}" for letter in "bcdefghijk")]


def test_what_only_xen_has() -> None:
    changes = guest(
        maxmem=1024 * MIB,
        maxvcpus=4,
        on_crash=Action.PRESERVE,
        xen=XenOptions(type=XenType.PVH, device_names=XenDevices.SDA1),
    )
    with xlutil.reading(xen.render(changes, FILES)) as config:
        names = ("type", "memory", "maxmem", "vcpus", "maxvcpus", "root", "on_poweroff", "on_reboot", "on_crash")
        assert {name: config.text(name) for name in names} == {
            "type": "pvh",
            "memory": "512",
            "maxmem": "1024",
            "vcpus": "1",
            "maxvcpus": "4",
            "root": "/dev/sda1 ro",
            "on_poweroff": "destroy",
            "on_reboot": "restart",
            "on_crash": "preserve",
        }
        assert config.disks() == {"sda1": str(FILES.root), "sda2": str(FILES.swap)}


@given(extra=ARGUMENTS)
def test_any_kernel_arguments_are_what_they_were(extra: str) -> None:
    with xlutil.reading(xen.render(guest(extra=extra), FILES)) as config:
        assert config.text("extra") == f"console=hvc0 {extra}"


@given(folder=folders())
def test_any_path_is_what_it_was(folder: str) -> None:
    files = files_in(folder)
    with xlutil.reading(xen.render(guest(), files)) as config:
        assert config.text("kernel") == str(files.kernel)
        assert config.disks() == {"xvda1": str(files.root), "xvda2": str(files.swap)}


# Lines of real configurations.
CONFIGURATIONS = {
    "Debian 8, Linux 3.16": ("CONFIG_XEN=y\nCONFIG_XEN_DOM0=y\nCONFIG_XEN_PVHVM=y\nCONFIG_XEN_PVH=y\n", True),
    "Debian 9, Linux 4.9": ("CONFIG_XEN=y\nCONFIG_XEN_PVHVM=y\n# CONFIG_XEN_PVH is not set\n", True),
    "Debian 10 and newer": ("CONFIG_XEN=y\nCONFIG_XEN_PV=y\nCONFIG_XEN_PVHVM=y\nCONFIG_XEN_PVHVM_SMP=y\n", True),
    "without PV": ("CONFIG_XEN=y\n# CONFIG_XEN_PV is not set\nCONFIG_XEN_PVHVM=y\nCONFIG_XEN_PVHVM_SMP=y\n", False),
    "32 bits since Linux 5.9": ("CONFIG_XEN=y\nCONFIG_XEN_PVHVM=y\nCONFIG_XEN_PVHVM_SMP=y\nCONFIG_XEN_PVH=y\n", False),
    "without Xen": ("# CONFIG_XEN is not set\n", False),
    "older than Xen": ("CONFIG_X86=y\n", False),
    "only its drivers": ("CONFIG_XEN_BLKDEV_FRONTEND=m\nCONFIG_XEN_NETDEV_FRONTEND=m\n", False),
    "empty": ("", False),
}


@pytest.mark.parametrize(("config", "expected"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_runs_as_xen_pv(config: str, expected: bool) -> None:
    assert runs_as_pv(f"# Linux\nCONFIG_64BIT=y\n{config}CONFIG_ZONE_DMA=y\n") is expected
