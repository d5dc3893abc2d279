"""Architectures: all that differs between the machines that guests can be, a row for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from pipeline.model.sizes import KIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A kind of machine."""

    name: str
    """The name that Debian has for it."""
    programs: str
    """The name that its programs have here, also in the digests of masters."""
    elf: tuple[int, ...]
    """What e_machine in elf.h says of the programs that it runs, its own first."""
    qemu: str
    """The program of QEMU that emulates it."""
    machine: str
    """The machine of QEMU that has a bus for virtio devices, or what else they are on."""
    cpus: Mapping[str, str]
    """The processor that QEMU is told to imitate, by accelerator."""
    console: str
    """The device of the kernel's console on that machine, as `console=` takes it."""
    kernels: tuple[str, ...]
    """What the names of kernels in /boot begin with."""
    page: int = 4 * KIB
    """Bytes of a page of Debian's kernels, and so of the header of a swap area: see mkswap(8)."""
    oci: str
    """What OCI images call it: GOARCH of Go's documentation."""
    libvirt: str
    """What domain XML calls it."""
    partition: UUID
    """The type of its root partition: see the Discoverable Partitions Specification."""


_AMD64: Final = Architecture(
    name="amd64",
    programs="x86-64",
    elf=(62, 3),
    qemu="qemu-system-x86_64",
    machine="q35",
    # Emulation of all that the newest processors have takes a guest a third more time to boot.
    cpus={"kvm": "max", "tcg": "qemu64"},
    console="ttyS0",
    kernels=("vmlinuz", "bzImage"),
    oci="amd64",
    libvirt="x86_64",
    partition=UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709"),
)

BY_NAME: Final[Mapping[str, Architecture]] = {
    each.name: each
    for each in (
        _AMD64,
        Architecture(
            name="arm64",
            programs="arm64",
            elf=(183,),
            qemu="qemu-system-aarch64",
            machine="virt",
            cpus={"kvm": "host", "tcg": "cortex-a57"},
            console="ttyAMA0",
            kernels=("vmlinuz", "Image"),
            oci="arm64",
            libvirt="aarch64",
            partition=UUID("b921b045-1df0-41c3-af44-4c6f280d3fae"),
        ),
        Architecture(
            name="ppc64el",
            programs="ppc64el",
            elf=(21,),
            qemu="qemu-system-ppc64",
            machine="pseries",
            cpus={"kvm": "host", "tcg": "power9"},
            console="hvc0",
            kernels=("vmlinux", "vmlinuz"),
            page=64 * KIB,
            oci="ppc64le",
            libvirt="ppc64le",
            partition=UUID("c31c45e6-3f39-412e-80fb-4809c4980599"),
        ),
        Architecture(
            name="riscv64",
            programs="riscv64",
            elf=(243,),
            qemu="qemu-system-riscv64",
            machine="virt",
            cpus={"kvm": "host", "tcg": "rv64"},
            console="ttyS0",
            kernels=("vmlinux", "vmlinuz", "Image"),
            oci="riscv64",
            libvirt="riscv64",
            partition=UUID("72ec70a6-cf74-40e6-bd49-4bda08e8f224"),
        ),
        Architecture(
            name="s390x",
            programs="s390x",
            elf=(22,),
            qemu="qemu-system-s390x",
            machine="s390-ccw-virtio",
            cpus={"kvm": "host", "tcg": "qemu"},
            console="ttysclp0",
            kernels=("vmlinuz", "image"),
            oci="s390x",
            libvirt="s390x",
            partition=UUID("5eead9a9-fe09-4a1e-a1d7-520d00531306"),
        ),
    )
}
"""The architectures that are known, by name."""

GUESTS: Final = _AMD64
"""What guests are today."""

_OTHERS: Final = {3: "i386", 8: "mips", 20: "ppc", 40: "arm", 258: "loongarch64"}
"""More of e_machine in elf.h, with Debian's names."""


def of_elf(number: int) -> str:
    """The name of the machine that e_machine, `number`, says of a program; one that is unknown is described."""
    own = {each.elf[0]: each.programs for each in BY_NAME.values()}
    return (own | _OTHERS).get(number, f"machine {number} of elf.h")


def runs(architecture: Architecture, machine: str | None) -> bool:
    """Whether it runs the programs of a machine with this name; None is a root without programs, or with scripts."""
    return machine is None or machine in map(of_elf, architecture.elf)
