"""The proof of one guest: booted on clones of its disks, asked what it is, shut down, its file system checked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import process
from pipeline.boottest import checks, inside
from pipeline.boottest.checks import Check
from pipeline.boottest.disk import Via, bootable
from pipeline.boottest.overlay import thrown_away
from pipeline.errors import GuestfarmError, HostError, ProcessError
from pipeline.hypervisors import pc
from pipeline.hypervisors.base import Files
from pipeline.image.layer.entries import Layer
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.virtualization import Firmware
from pipeline.qemu import console, machine, session
from pipeline.qemu.machine import Drive, Kernel, Machine


@dataclass(frozen=True, slots=True)
class Proof:
    """What a boot has shown."""

    guest: str
    checks: Sequence[Check]
    session: session.Session
    facts: inside.Facts
    """The whole report."""

    @property
    def passed(self) -> bool:
        """Whether nothing was found that should not be so."""
        return all(check.passed is not False for check in self.checks)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a boot has what it makes."""

    disks: Path
    """A new folder, for throw-away disks."""
    log: Path
    """The file for what the guest says on its console."""


def prove(guest: Guest, files: Files, place: Place, limits: session.Limits, via: Via = Via.KERNEL) -> Proof:
    """Boot `guest`, whose `files` are on this machine, on clones of its disks.

    Raises GuestfarmError when it cannot be tried at all, and session.Interrupted.
    """
    return run(guest, machine_of(guest, files, via), place, limits, via=via)


def run(  # noqa: PLR0913  # a boot is described by as much
    guest: Guest,
    powered: Machine,
    place: Place,
    limits: session.Limits,
    *,
    via: Via = Via.KERNEL,
    more: Mapping[str, str] | None = None,
) -> Proof:
    """Boot `guest` as the machine `powered`, whose first drive has its root file system; else as prove().

    `more` are facts besides those that are checked: shell commands by name, whose output is in the proof.
    """
    check_qemu()
    if powered.uefi:
        check_ovmf()
    reporters: list[inside.Reporter] = []
    restarts: list[bool] = []

    def addition(tree: Tree) -> Layer:
        reporters.append(inside.reporter(guest, tree, more))
        restarts.append(tree.exists(inside.AUTORELABEL))
        return reporters[0].layer

    with thrown_away(place.disks, [drive.image for drive in powered.drives], addition) as clones:
        drives = [replace(drive, image=own) for drive, own in zip(powered.drives, clones, strict=True)]
        root, drives[0] = bootable(guest, clones[0], via)
        seen = session.boot(
            replace(powered, drives=drives, restarts=restarts[0]), reporters[0].signs, place.log, limits
        )
        facts = inside.read(seen.report)
        found = [*_of_session(guest, seen, reporters[0]), *(checks.of_report(guest, facts) if facts else ())]
        if seen.has_shut_down and not seen.failure:
            found.append(_file_system(root, seen.console))
        return Proof(guest.name, found, seen, facts)


def machine_of(guest: Guest, files: Files, via: Via) -> Machine:
    """The machine that boots `guest` that way. Raises HostError for a kernel of a host that is not this machine."""
    return Machine(
        memory=guest.memory,
        vcpus=guest.vcpus,
        kernel=_kernel(guest, files) if via is Via.KERNEL else None,
        drives=[Drive(number=disk.number, image=Path(disk.image), read_only=disk.read_only) for disk in files.disks],
        cards=machine.cards(guest),
        uefi=guest.firmware is Firmware.UEFI,
    )


def _kernel(guest: Guest, files: Files) -> Kernel:
    kernel, initrd = Path(files.kernel), Path(files.ramdisk) if files.ramdisk is not None else None
    for path in filter(None, (kernel, initrd)):
        if not path.exists():
            raise HostError(f"guest '{guest.name}' boots {path} of its host, which is not here")
    return Kernel(image=kernel, initrd=initrd, command_line=pc.command_line(guest, files))


def check_qemu() -> None:
    """Raise GuestfarmError unless QEMU is installed."""
    if not process.available(machine.PROGRAM):
        raise GuestfarmError(
            f"the program {machine.PROGRAM} is missing, by which guests are booted here",
            "on Debian, apt-get install qemu-system-x86 brings it",
        )


def check_ovmf() -> None:
    """Raise GuestfarmError unless there is UEFI for QEMU."""
    for file in (pc.OVMF_CODE, pc.OVMF_VARIABLES):
        if not Path(file).exists():
            raise GuestfarmError(
                f"there is no {file}, by which guests with UEFI are booted here", "on Debian, apt-get install ovmf"
            )


def _of_session(guest: Guest, seen: session.Session, reporter: inside.Reporter) -> Iterator[Check]:
    if seen.failure:
        yield Check("boot", False, seen.failure)
    else:
        yield Check("boot", True, f"up in {seen.seconds:.0f} s")
    if reporter.greets and not seen.failure:
        yield Check("login prompt", seen.greeted, "there" if seen.greeted else "none")
    if not reporter.layer:
        unasked = ", ".join(checks.names(guest))
        yield Check(
            "inside", None, f"{reporter.init} starts it, which nothing can be added to: not looked at: {unasked}"
        )


def _file_system(image: str, said: str) -> Check:
    """Whether the kernel, and e2fsck after the shutdown, find the root file system in order."""
    complaints = console.complaints(said)
    if complaints:
        return Check("file system", False, complaints[0])
    try:
        process.run(["e2fsck", "-f", "-n", image])
    except ProcessError as error:
        return Check("file system", False, error.message.splitlines()[-1].strip())
    return Check("file system", True, "clean after it was shut down")
