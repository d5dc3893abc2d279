"""Xen's configuration of a guest, as xl reads it."""

from textwrap import dedent

import pytest

from pipeline.hypervisors import BY_NAME, Files
from pipeline.hypervisors.xen import XenDevices, XenOptions, XenType
from pipeline.model.guest import Guest
from pipeline.model.virtualization import Action
from tests.guests import MIB, guest, nic
from tests.hypervisors.files import files_in

xen = BY_NAME["xen"]

pytestmark = pytest.mark.unit

CONFIGURATIONS = {
    "usual": (
        guest(),
        files_in("/opt/xen/images/deb01"),
        """\
        name = "deb01"
        uuid = "cccccccc-1111-4222-8333-444444444444"
        type = "pv"
        memory = 512
        vcpus = 1
        kernel = "/opt/xen/images/deb01/vmlinuz"
        ramdisk = "/opt/xen/images/deb01/initrd.img"
        root = "/dev/xvda1 ro"
        extra = "console=hvc0"
        on_poweroff = "destroy"
        on_reboot = "restart"
        on_crash = "destroy"
        vif = [
            "mac=00:16:3e:00:00:01,bridge=xenbr0",
        ]
        disk = [
            "format=raw, vdev=xvda1, access=rw, target=/opt/xen/images/deb01/root.img",
            "format=raw, vdev=xvda2, access=rw, target=/opt/xen/images/deb01/swap.img",
        ]
        """,
    ),
    "as little as can be": (
        guest(swap=None, nics=(), memory=16 * MIB, maxmem=16 * MIB),
        files_in("/i", swap=False, ramdisk=False),
        """\
        name = "deb01"
        uuid = "cccccccc-1111-4222-8333-444444444444"
        type = "pv"
        memory = 16
        vcpus = 1
        kernel = "/i/vmlinuz"
        root = "/dev/xvda1 ro"
        extra = "console=hvc0"
        on_poweroff = "destroy"
        on_reboot = "restart"
        on_crash = "destroy"
        vif = [
        ]
        disk = [
            "format=raw, vdev=xvda1, access=rw, target=/i/root.img",
        ]
        """,
    ),
    "as much": (
        guest(
            memory=2048 * MIB,
            maxmem=4096 * MIB,
            vcpus=4,
            maxvcpus=8,
            nics=(nic(None), nic(None, mac="00:16:3e:00:00:02")),
            extra='quiet dyndbg="file a.c +p"',
            on_poweroff=Action.RESTART,
            on_crash=Action.COREDUMP_RESTART,
            xen=XenOptions(type=XenType.PVH, device_names=XenDevices.SDA1),
        ),
        files_in("/i"),
        """\
        name = "deb01"
        uuid = "cccccccc-1111-4222-8333-444444444444"
        type = "pvh"
        memory = 2048
        maxmem = 4096
        vcpus = 4
        maxvcpus = 8
        kernel = "/i/vmlinuz"
        ramdisk = "/i/initrd.img"
        root = "/dev/sda1 ro"
        extra = "console=hvc0 quiet dyndbg=\\"file a.c +p\\""
        on_poweroff = "restart"
        on_reboot = "restart"
        on_crash = "coredump-restart"
        vif = [
            "mac=00:16:3e:00:00:01,bridge=xenbr0",
            "mac=00:16:3e:00:00:02,bridge=xenbr0",
        ]
        disk = [
            "format=raw, vdev=sda1, access=rw, target=/i/root.img",
            "format=raw, vdev=sda2, access=rw, target=/i/swap.img",
        ]
        """,
    ),
}


@pytest.mark.parametrize(("whose", "where", "expected"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
def test_configuration(whose: Guest, where: Files, expected: str) -> None:
    assert xen.render(whose, where) == dedent(expected)


ODD = {  # a path, and how it stands in a string of xl.cfg(5)
    "blank, comma and =": ("/a b,c=d", "/a b,c=d"),
    "quotes": ('/it\'s "here"', '/it\'s \\"here\\"'),
    "backslash": ("/a\\n", "/a\\\\n"),
    "newline": ("/a\nb", "/a\\nb"),
}


@pytest.mark.parametrize(("folder", "quoted"), ODD.values(), ids=ODD)
def test_odd_paths(folder: str, quoted: str) -> None:
    lines = xen.render(guest(), files_in(folder)).splitlines()
    assert f'kernel = "{quoted}/vmlinuz"' in lines
    assert f'    "format=raw, vdev=xvda1, access=rw, target={quoted}/root.img",' in lines


def test_it_goes_by_the_name_of_xen() -> None:
    assert BY_NAME["xen"].suffix == "cfg"
