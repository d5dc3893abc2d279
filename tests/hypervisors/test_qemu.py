"""Scripts that run QEMU: what they call it with. `tests/boot` has QEMU itself called."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given

from pipeline.hypervisors import BY_NAME, Files
from pipeline.model.guest import Guest
from pipeline.model.network import NicModel
from pipeline.model.virtualization import Action
from tests.guests import DOMAIN_UUID, ROOT_UUID, guest, nic
from tests.hypervisors.files import ARGUMENTS, FILES, NASTY, files_in, folders

qemu = BY_NAME["qemu"]


@pytest.fixture(scope="session")
def bin_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a program of QEMU's name prints what it is called with."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "qemu-system-x86_64"
    program.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    program.chmod(0o755)
    return folder


def called_with(
    bin_folder: Path, whose: Guest, files: Files, *more: str, environment: Mapping[str, str] | None = None
) -> list[str]:
    """What the script of `whose` calls QEMU with, when it is itself called with `more`."""
    script = bin_folder / "guest.sh"
    script.write_text(qemu.render(whose, files))
    printed = subprocess.run(
        ["sh", "-eu", script, *more],
        env={"PATH": f"{bin_folder}:{os.environ['PATH']}", **(environment or {})},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    return printed.decode().split("\0")[:-1]


def values(arguments: Sequence[str], option: str) -> list[str]:
    """What follows each `option`."""
    return [value for name, value in pairwise(arguments) if name == option]


def test_what_qemu_is_called_with(bin_folder: Path) -> None:
    assert called_with(bin_folder, guest(), FILES) == [
        *("-accel", "kvm"),
        *("-accel", "tcg"),
        *("-name", "deb01"),
        *("-uuid", str(DOMAIN_UUID)),
        *("-machine", "q35"),
        *("-cpu", "max"),
        *("-m", "512M"),
        *("-smp", "cpus=1,maxcpus=1"),
        *("-kernel", str(FILES.kernel)),
        *("-initrd", str(FILES.ramdisk)),
        *("-append", f"root=UUID={ROOT_UUID} ro console=ttyS0"),
        *("-drive", f"if=none,id=disk0,format=raw,file={FILES.root}"),
        *("-device", "virtio-blk-pci,drive=disk0,addr=0x04"),
        *("-drive", f"if=none,id=disk1,format=raw,file={FILES.swap}"),
        *("-device", "virtio-blk-pci,drive=disk1,addr=0x05"),
        *("-netdev", "bridge,id=nic0,br=xenbr0"),
        *("-device", "virtio-net-pci,netdev=nic0,mac=00:16:3e:00:00:01,addr=0x10"),
        "-nodefaults",
        *("-display", "none"),
        *("-serial", "mon:stdio"),
    ]


def test_more_options(bin_folder: Path) -> None:
    more = ["-snapshot", "-name", "an other's"]
    arguments = called_with(bin_folder, guest(), FILES, *more, environment={"ACCEL": "tcg"})
    assert arguments[-3:] == more
    assert values(arguments, "-accel") == ["tcg", "tcg"]


def test_a_guest_with_nothing_but_a_root_disk(bin_folder: Path) -> None:
    files = files_in("/srv", swap=False, ramdisk=False)
    arguments = called_with(bin_folder, guest(swap=None), files)
    assert "-initrd" not in arguments
    assert values(arguments, "-append") == ["root=/dev/vda ro console=ttyS0"]
    assert len(values(arguments, "-drive")) == 1


def test_more_disks(bin_folder: Path) -> None:
    drives = "if=none,id=disk2,format=raw,file=/srv/data.img"
    device = "virtio-blk-pci,drive=disk2,addr=0x06,serial=data"
    for swap in (True, False):
        arguments = called_with(bin_folder, guest(), files_in("/srv", "data", swap=swap))
        assert values(arguments, "-drive")[-1] == drives
        assert device in values(arguments, "-device")


def test_one_option_a_line() -> None:
    lines = qemu.render(guest(), files_in(NASTY)).splitlines()
    options = lines[lines.index("exec qemu-system-x86_64 \\") + 1 : -1]
    assert all(line.startswith("    -") and line.endswith(" \\") for line in options)


def test_processors_and_what_follows(bin_folder: Path) -> None:
    arguments = called_with(bin_folder, guest(maxvcpus=4, on_reboot=Action.DESTROY), FILES)
    assert values(arguments, "-smp") == ["cpus=1,maxcpus=4"]
    assert "-no-reboot" in arguments


@given(extra=ARGUMENTS)
def test_any_kernel_arguments_are_what_they_were(bin_folder: Path, extra: str) -> None:
    arguments = called_with(bin_folder, guest(extra=extra), FILES)
    assert values(arguments, "-append")[0] == f"root=UUID={ROOT_UUID} ro console=ttyS0 {extra}"


@given(folder=folders())
def test_any_path_is_what_it_was(bin_folder: Path, folder: str) -> None:
    files = files_in(folder)
    arguments = called_with(bin_folder, guest(), files)
    assert values(arguments, "-kernel") == [str(files.kernel)]
    drives = [drive.partition(",file=")[2].replace(",,", ",") for drive in values(arguments, "-drive")]
    assert drives == [str(files.root), str(files.swap)]


def test_network_cards_of_several_models(bin_folder: Path) -> None:
    models = (None, NicModel.VIRTIO, NicModel.E1000, NicModel.RTL8139, NicModel.VMXNET3)
    cards = tuple(
        replace(nic(None), mac=f"00:16:3e:00:00:0{number}", model=model) for number, model in enumerate(models)
    )
    devices = values(called_with(bin_folder, guest(nics=cards), FILES), "-device")
    names = ("virtio-net-pci", "virtio-net-pci", "e1000", "rtl8139", "vmxnet3")
    assert [device for device in devices if "netdev=" in device] == [
        f"{name},netdev=nic{number},mac=00:16:3e:00:00:0{number},addr={16 + number:#04x}"
        for number, name in enumerate(names)
    ]
