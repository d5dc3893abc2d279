"""Guests start from their disks by a boot loader, by a BIOS and by UEFI, and their root disks stay what they were."""

import hashlib
import os
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector

import pytest

from pipeline.qemu import console
from tests.boot import qemu
from tests.e2e.conftest import ROOT, Workshop
from tests.machine import need, need_programs

_LIST = """\
    farm: bootable
    images: {images}
    masters:
      busybox: {{tar: {tar}}}
    defaults:
      master: busybox
      memory: 256M
      root: 128M
      hypervisors: [qemu, vmware]
      qemu: {{boot: disk}}
      extra: panic=-1 said="by GRUB"
    guests:
      bios: {{}}
      uefi: {{firmware: uefi}}
"""
_OVMF = Path("/usr/share/OVMF")
_WAYS = ("bios by script", "bios by whole disk", "uefi by script", "uefi by VMDK")


@pytest.fixture(scope="module")
def farm(variants: Workshop, scratch: Path) -> Workshop:
    """A farm of guests that start from their disks."""
    need_programs("qemu-system-x86_64", "grub-mkimage", "mcopy", "mkfs.vfat")
    need((_OVMF / "OVMF_CODE_4M.fd").exists(), "OVMF")
    workshop = Workshop(scratch / "bootable")
    workshop.folder.mkdir()
    shutil.copy(ROOT / "dodo.py", workshop.folder)
    tar = variants.folder / "busybox.tar"
    workshop.write_list(_LIST.format(images=workshop.path("guests"), tar=tar))
    workshop.doit()
    workshop.doit("disk:bios:whole")
    return workshop


@pytest.fixture(scope="module")
def consoles(farm: Workshop) -> dict[str, str]:
    """What the guests say until they ask for a login, or end. They run at the same time."""
    before = digests(farm)
    with ExitStack() as stack:
        running = {}
        for way in _WAYS:
            process = subprocess.Popen(
                command(farm, way),
                env={**os.environ, "ACCEL": "tcg"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
            running[way] = stack.enter_context(process)
            stack.callback(process.kill)
        said = heard(running)
    assert digests(farm) == before
    return said


@pytest.mark.parametrize("way", _WAYS)
def test_starts_by_its_boot_loader(consoles: dict[str, str], way: str) -> None:
    said = consoles[way]
    name = way.partition(" ")[0]
    assert f"{name} login: " in said, said
    assert 'console=ttyS0,115200 panic=-1 "said=by GRUB"' in said
    assert ("efi: EFI v" in said) == (name == "uefi")


def test_doit_boot_starts_it_by_uefi(farm: Workshop) -> None:
    before = digests(farm)
    run = farm.doit("boot", "uefi", "--via", "disk", "--timeout", str(qemu.DEADLINE), check=False)
    assert run.code == 0, run.output
    assert "ok      firmware      UEFI\n" in run.output
    assert "ok      root          /dev/vda1, ext4, writable\n" in run.output
    assert "ok      file system   clean after it was shut down\n" in run.output
    assert digests(farm) == before


def command(farm: Workshop, way: str) -> list[str | Path]:
    """What runs the guest in this way."""
    name = way.partition(" ")[0]
    folder = farm.path(f"guests/{name}")
    if way.endswith("script"):
        return [folder / f"{name}.qemu.sh", "-snapshot"]
    pc: list[str | Path] = ["qemu-system-x86_64", "-accel", "tcg", "-machine", "q35", "-m", "256", "-nodefaults"]
    pc += ["-display", "none", "-serial", "stdio", "-no-reboot", "-snapshot"]
    if name == "uefi":
        pc += ["-drive", f"if=pflash,format=raw,readonly=on,file={_OVMF}/OVMF_CODE_4M.fd"]
        pc += ["-drive", f"if=pflash,format=raw,file={_OVMF}/OVMF_VARS_4M.fd"]
    if way.endswith("whole disk"):
        return [*pc, "-drive", f"if=virtio,format=raw,file={folder}/whole.img"]
    return [*pc, "-drive", f"if=virtio,format=vmdk,file={folder}/{name}.vmdk"]


def heard(running: dict[str, subprocess.Popen[bytes]]) -> dict[str, str]:
    """What each says until it asks for a login."""
    said = dict.fromkeys(running, b"")
    with DefaultSelector() as selector:
        for way, process in running.items():
            assert process.stdout
            selector.register(process.stdout, EVENT_READ, way)
        while selector.get_map():
            for key, _ in selector.select():
                data = os.read(key.fd, 1 << 16)
                said[key.data] += data
                if not data or console.asks_for_login(plain(said[key.data])):
                    selector.unregister(key.fileobj)
                    running[key.data].kill()
    return {way: plain(data) for way, data in said.items()}


def plain(data: bytes) -> str:
    return console.plain(data.decode(errors="replace"))


def digests(farm: Workshop) -> dict[str, str]:
    images = farm.path("guests").glob("*/*.img")
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in images}
