"""What is added to a guest's throw-away root disk so that it reports what it is, whichever init it has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipeline.image.layer.entries import Entry, Metadata, Symlink, text
from pipeline.image.layer.tree import Tree, resolve
from pipeline.model.guest import Guest
from pipeline.model.virtualization import Firmware
from pipeline.qemu.session import Signs

SCRIPT = "etc/guestfarm-report"
"""In /etc, which is always on the root file system itself."""

AUTORELABEL = ".autorelabel"
"""Where it is, SELinux labels all files at the first boot, and the guest starts again; see guestos/selinux.py."""

_HEADING = "=== "
_END = "that is all"

_UNIT = f"""\
[Unit]
Description=Report to doit boot
Wants=network-online.target
After=multi-user.target network-online.target

[Service]
ExecStart=/{SCRIPT}
"""
_UNIT_NAME = "guestfarm-report.service"

_BUSYBOX_DEFAULTS = "::sysinit:/etc/init.d/rcS\n::askfirst:-/bin/sh\n"
"""What BusyBox's init does without an inittab, as far as it matters."""

Facts = Mapping[str, str]
"""Names of facts, and the shell commands that print them; or, in a report, what these printed."""


@dataclass(frozen=True, slots=True)
class Reporter:
    """How a guest is made to report."""

    layer: tuple[Entry, ...] = ()
    """What that adds to its root file system; nothing where there is no way to have it report."""
    init: str = ""
    """What starts its services, for people."""
    is_systemd: bool = False
    greets: bool = False
    """Whether somebody asks for a login on its console."""

    @property
    def signs(self) -> Signs:
        """The signs by which the guest shows that it is up."""
        return Signs(reports=bool(self.layer), is_report=is_whole, greets=self.greets)


def reporter(guest: Guest, tree: Tree, more: Facts | None = None) -> Reporter:
    """How `guest`, with the root file system `tree`, reports facts(guest), and `more` besides.

    The report goes to the second serial port. When the guest is told anything there, it powers off.
    """
    commands = {**facts(guest), **(more or {})}
    program = _init(guest, tree)
    if program.endswith("/systemd"):
        unit = (
            script({**commands, "failed units": "systemctl --failed --no-legend --plain"}, is_systemd=True),
            text(f"etc/systemd/system/{_UNIT_NAME}", _UNIT),
            Symlink(
                f"etc/systemd/system/multi-user.target.wants/{_UNIT_NAME}",
                Metadata(mode=0o777),
                f"/etc/systemd/system/{_UNIT_NAME}",
            ),
        )
        return Reporter(unit, "systemd", is_systemd=True, greets=True)
    is_busybox = program.endswith("/busybox")
    if not is_busybox and not (program.endswith("/init") and tree.exists("etc/inittab")):
        return Reporter(init=f"/{program}")
    inittab = tree.read("etc/inittab").decode(errors="surrogateescape") if tree.exists("etc/inittab") else ""
    layer = (script(commands), text("etc/inittab", _with_report(inittab or _BUSYBOX_DEFAULTS, is_busybox=is_busybox)))
    return Reporter(layer, "BusyBox" if is_busybox else "init", greets=_greets(inittab))


def facts(guest: Guest) -> dict[str, str]:
    """What every guest reports: commands that Debian and BusyBox have in common."""
    uefi = guest.firmware is Firmware.UEFI
    return {
        "host name": "uname -n",  # SELinux may forbid hostname(1) to write to a serial port
        "MAC addresses": "grep . /sys/class/net/*/address",
        "addresses": "ip -o addr",
        "mounts": "cat /proc/mounts",
        "swaps": "cat /proc/swaps",
        "machine ID": "cat /etc/machine-id",
        "root device": f"findfs UUID={guest.root_uuid}",
        "swap device": f"findfs UUID={guest.swap_uuid}",
        **({"firmware": "test -d /sys/firmware/efi && echo UEFI || echo BIOS"} if uefi else {}),
        **{f"device of {disk.name}": f"findfs UUID={disk.uuid}" for disk in guest.disks if disk.filesystem},
    }


def is_whole(report: str) -> bool:
    """Whether everything of a report is there."""
    return f"{_HEADING}{_END}\n" in report  # with its end, before which the echo of an answer might come


def read(report: str) -> dict[str, str]:
    """The facts of a report by their names, as the commands printed them; none if it was cut short."""
    if not is_whole(report):
        return {}
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in report.splitlines():
        if line.startswith(_HEADING):
            lines = found.setdefault(line.removeprefix(_HEADING), [])
        else:
            lines.append(line)
    return {name: "\n".join(printed).strip() for name, printed in found.items() if name != _END}


def _init(guest: Guest, tree: Tree) -> str:
    """What the kernel starts first: what it is told to, if that is there; initrds, at least, then go on."""
    told = [argument.removeprefix("init=") for argument in guest.extra.split() if argument.startswith("init=")]
    return next((resolve(tree, path) for path in reversed(told) if tree.exists(path)), resolve(tree, "sbin/init"))


def script(commands: Facts, *, is_systemd: bool = False) -> Entry:
    """The script that reports what `commands` print, waits for an answer, and powers off."""
    return text(SCRIPT, "\n".join([*_lines(commands, is_systemd), ""]), mode=0o755)


def _lines(commands: Facts, is_systemd: bool) -> Iterator[str]:
    yield "#!/bin/sh"
    yield "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    if is_systemd:
        yield "systemctl is-system-running --wait >/dev/null 2>&1"  # until nothing is left to start
    yield "exec </dev/ttyS1 >/dev/ttyS1 2>&1"
    for name, command in commands.items():
        yield "echo"  # not everything ends with a line's end
        yield f"echo '{_HEADING}{name}'"
        yield command
    yield "echo"
    yield f"echo '{_HEADING}{_END}'"
    yield "read -r answer"
    yield "exec poweroff"


def _with_report(inittab: str, *, is_busybox: bool) -> str:
    """See inittab(5), and examples/inittab of BusyBox, where the first field is a terminal."""
    line = f"::once:/{SCRIPT}" if is_busybox else f"gfrp:2345:once:/{SCRIPT}"
    return f"{inittab.rstrip()}\n{line}\n"


def _greets(inittab: str) -> bool:
    lines = [line for line in inittab.splitlines() if not line.lstrip().startswith("#")]
    return any("getty" in line and ("ttyS0" in line or "console" in line) for line in lines)
