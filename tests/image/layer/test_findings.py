"""What is found out about a master while its files are read."""

import struct
from collections.abc import Mapping

import pytest

from pipeline.image.layer.findings import Findings

pytestmark = pytest.mark.unit

MODULES = "usr/lib/modules/6.1.0-40-amd64"
BUILT_IN = b"kernel/drivers/block/virtio_blk.ko\nkernel/fs/ext4/ext4.ko\nkernel/drivers/scsi/sd_mod.ko\n"


def found(files: Mapping[str, bytes]) -> Findings:
    findings = Findings()
    for path, data in files.items():
        listener = findings.listener(path)
        for offset in range(0, len(data), 1000) if listener else ():
            assert listener
            listener(offset, data[offset : offset + 1000])
    return findings


def elf(machine: int, order: str = "<") -> bytes:
    return b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + bytes(10) + struct.pack(f"{order}HH", 2, machine)


@pytest.mark.parametrize(
    ("files", "machine"),
    [
        ({}, None),
        ({"bin/sh": b"#!/bin/true\n", "bin/x": b"", "etc/x": elf(183)}, None),
        ({"bin/sh": elf(62)}, "x86-64"),
        ({"usr/sbin/init": elf(183)}, "arm64"),
        ({"usr/bin/a": elf(22, ">")}, "s390x"),
        ({"usr/bin/a": elf(183), "usr/bin/b": elf(62), "usr/bin/c": elf(62)}, "x86-64"),
        ({"usr/bin/a": elf(4711)}, "machine 4711 of elf.h"),
        ({"usr/bin/a": b"\x7fELF\x02\x01"}, None),
    ],
)
def test_machine(files: Mapping[str, bytes], machine: str | None) -> None:
    assert found(files).machine == machine


@pytest.mark.parametrize(
    ("files", "drivers"),
    [
        ({"boot/vmlinuz": b"a kernel without modules"}, None),
        ({f"{MODULES}/kernel/drivers/ata/ahci.ko": b""}, None),  # and whatever is built in
        ({f"{MODULES}/modules.builtin": b""}, ()),
        (
            {
                f"{MODULES}/modules.builtin": BUILT_IN,
                f"{MODULES}/kernel/drivers/block/xen-blkfront.ko.xz": b"",
                f"{MODULES}/kernel/drivers/message/fusion/mptspi.ko": b"",
                f"{MODULES}/kernel/drivers/net/tun.ko": b"",
                "lib/modules/5.10/kernel/drivers/ata/ahci.ko.zst": b"",
            },
            ("ahci", "mptspi", "sd_mod", "virtio_blk", "xen_blkfront"),
        ),
        ({f"{MODULES}/modules.builtin": b"#" * 995 + b"\n" + BUILT_IN}, ("sd_mod", "virtio_blk")),
    ],
)
def test_drivers(files: Mapping[str, bytes], drivers: tuple[str, ...] | None) -> None:
    assert found(files).drivers == drivers
