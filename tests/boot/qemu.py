"""Runs guests as their Xen configurations ask for it, under QEMU's emulation, on clones of their disks."""

import ast
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.image import ext
from pipeline.image.clone import clone
from pipeline.image.layer import Layer

GATEWAY = "10.0.0.1"
"""Where QEMU itself answers, in a network /24; its DHCP server is there too."""

DEADLINE = 300
"""After how many seconds a guest hangs: ten times what Debian takes on two idle processors, since they may be busy."""


@dataclass(frozen=True)
class Domain:
    """What a configuration asks a hypervisor for."""

    memory: int
    """In MiB."""
    vcpus: int
    kernel: Path
    ramdisk: Path
    disks: list[Path]
    macs: list[str]


def read(config: Path) -> Domain:
    """What xl(1) would read in the file `config`.

    That gives the other files the paths which they will have on the host of the guests; here they are beside it.
    """
    values = dict(_assignments(config.read_text()))
    return Domain(
        memory=values["memory"],
        vcpus=values["vcpus"],
        kernel=_beside(config, values["kernel"]),
        ramdisk=_beside(config, values["ramdisk"]),
        disks=[_beside(config, _field("target", disk)) for disk in values["disk"]],
        macs=[_field("mac", vif) for vif in values["vif"]],
    )


@dataclass(frozen=True)
class Machine:
    """A guest that runs. Its disks are clones; the first one has the root file system."""

    disks: Sequence[Path]
    _process: subprocess.Popen[bytes]
    _folder: Path

    def wait(self) -> None:
        """Wait until the guest has powered off."""
        try:
            code = self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the guest hangs:\n{self.console}") from None
        assert code == 0, self._read("complaints")

    @property
    def console(self) -> str:
        """What the kernel and the system said on ttyS0."""
        return self._read("ttyS0")

    @property
    def report(self) -> str:
        """What was said on ttyS1, where nobody speaks unasked."""
        return self._read("ttyS1")

    def _read(self, name: str) -> str:
        return (self._folder / name).read_text(errors="replace")


@contextmanager
def running(domain: Domain, folder: Path, addition: Layer, kernel_options: str = "") -> Iterator[Machine]:
    """Start the guest on clones of its disks in `folder`, with `addition` in its root file system; end it at last."""
    disks = [folder / disk.name for disk in domain.disks]
    for disk, own in zip(domain.disks, disks, strict=True):
        clone(disk, own)
    with ext.open(disks[0]) as filesystem:
        filesystem.apply(addition)
        # By UUID, because Xen's names of disks are not QEMU's.
        command_line = f"root=UUID={filesystem.uuid} ro console=ttyS0 panic=-1 {kernel_options}"
    with (
        (folder / "complaints").open("wb") as complaints,
        subprocess.Popen(
            [*_hardware(domain, disks, folder), "-append", command_line], stdin=subprocess.DEVNULL, stderr=complaints
        ) as process,
    ):
        try:
            yield Machine(disks, process, folder)
        finally:
            process.kill()


def _hardware(domain: Domain, disks: Sequence[Path], folder: Path) -> Iterator[str | Path]:
    # Not by KVM: where it seems to be there, it may still fail to run a guest.
    yield from ("qemu-system-x86_64", "-accel", "tcg", "-nodefaults", "-display", "none", "-no-reboot")
    yield from ("-m", str(domain.memory), "-smp", str(domain.vcpus))
    yield from ("-kernel", domain.kernel, "-initrd", domain.ramdisk)
    for disk in disks:
        yield from ("-drive", f"file={disk},format=raw,if=virtio")
    for mac in domain.macs:
        yield from ("-nic", f"user,model=virtio-net-pci,mac={mac},net={GATEWAY}/24,host={GATEWAY},restrict=on")
    for port in ("ttyS0", "ttyS1"):
        yield from ("-serial", f"file:{folder / port}")


def _assignments(text: str) -> Iterator[tuple[str, Any]]:
    """The settings in a file of the form that xl.cfg(5) describes, which is Python's."""
    for statement in ast.parse(text).body:
        assert isinstance(statement, ast.Assign)
        (name,) = statement.targets
        assert isinstance(name, ast.Name)
        yield name.id, ast.literal_eval(statement.value)


def _field(name: str, text: str) -> str:
    match = re.search(rf"\b{name}=([^,]*)", text)
    assert match, f"there is no {name} in {text!r}"
    return match[1]


def _beside(config: Path, path: str) -> Path:
    return config.with_name(PurePosixPath(path).name)
