"""A guest that enforces SELinux's policy labels its files at its first boot, and starts again: doit boot goes along."""

import shutil
from pathlib import Path

from pipeline.image.layer import tar
from pipeline.image.layer.entries import Layer, text
from tests.boot import masters
from tests.e2e.conftest import ROOT, Workshop
from tests.machine import need_programs

# What matters of an enforcing Red Hat: its settings, and what selinux-autorelabel.service does.
_START = """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
hostname -F /etc/hostname
mount -o remount,rw /
if [ -e /.autorelabel ]; then
    echo labelling all files
    rm /.autorelabel
    sync
    mount -o remount,ro /
    reboot -f
fi
mount -a
ifup -a
"""
_LIST = """\
    farm: enforcing
    masters: {busybox: {tar: enforcing.tar}}
    guests:
      enforcing:
        {master: busybox, memory: 256M, root: 64M, extra: net.ifnames=0, network: {bridge: b}, address: 10.0.0.61/24}
"""


def _enforcing(busybox: Path) -> Layer:
    for entry in tar.entries(busybox):
        if entry.path != "etc/start":
            yield entry
    yield text("etc/start", _START, mode=0o755)
    yield text("etc/selinux/config", "# enforcing, permissive or disabled\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")


def test_it_is_up_after_it_has_started_again(example: Workshop, scratch: Path) -> None:
    need_programs("qemu-system-x86_64", "busybox")
    workshop = Workshop(scratch / "enforcing")
    workshop.folder.mkdir()
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    masters.write_busybox(example.path("masters/debian/rootfs.tar"), workshop.folder / "busybox.tar")
    with (workshop.folder / "enforcing.tar").open("wb") as file:
        tar.write(_enforcing(workshop.folder / "busybox.tar"), file)
    workshop.write_list(_LIST)
    workshop.doit()
    shown = workshop.doit("boot").output
    assert "enforcing: boots:" in shown
    console = workshop.path("logs/boot/enforcing.log").read_text(errors="replace")
    assert console.count("labelling all files") == 1
    assert console.count("Linux version") == 2
