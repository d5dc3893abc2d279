"""What a guest says of itself: a script in it prints facts to a serial port, and the test reads them there."""

import re
from collections.abc import Mapping

from pipeline.farm.model import Guest
from pipeline.image.layer import Entry, Metadata, Symlink, text
from tests.boot import qemu

SCRIPT = "usr/local/sbin/report"

_UNIT = f"""\
[Unit]
Description=Facts about this guest
Wants=network-online.target
After=multi-user.target network-online.target
SuccessAction=poweroff
FailureAction=poweroff

[Service]
Type=oneshot
ExecStart=/{SCRIPT}
"""

_FACTS = {  # the commands that Debian and BusyBox have in common
    "host name": "hostname",
    "MAC addresses": "grep . /sys/class/net/*/address",
    "addresses": "ip -o addr",
    "routes": "ip route",
    "gateway": f"ping -c 1 {qemu.GATEWAY} >/dev/null && echo answers",
    "resolver": "cat /etc/resolv.conf",
    "mounts": "cat /proc/mounts",
    "swaps": "cat /proc/swaps",
    "machine ID": "cat /etc/machine-id",
}
_DEBIAN_FACTS = {
    "own address": "getent hosts $(hostname)",
    "failed units": "systemctl --failed --no-legend --plain",
    "check of the root file system": "journalctl --boot --output=cat --unit=systemd-fsck-root",
    "SSH socket": "systemctl is-active ssh.socket",
    "host keys": "for key in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $key; done",
    "host keys for clients": "ssh-keyscan localhost 2>/dev/null | ssh-keygen -lf -",
}

_HEADING = "=== "
_END = "that is all"


def for_debian(guest: Guest) -> list[Entry]:
    """What makes `guest` report, and then power off."""
    name = "report.service"
    wanted = f"etc/systemd/system/multi-user.target.wants/{name}"
    return [
        _script(_FACTS | _devices(guest) | _DEBIAN_FACTS),
        text(f"etc/systemd/system/{name}", _UNIT),
        Symlink(wanted, Metadata(mode=0o777), f"/etc/systemd/system/{name}"),
    ]


def for_busybox(guest: Guest) -> list[Entry]:
    """What `guest` will report, since it has been told to by its inittab."""
    return [_script(_FACTS | _devices(guest))]


def read(report: str) -> dict[str, str]:
    """The facts of a report by their names, as the commands printed them; none if the report was cut short."""
    _, *sections = re.split(f"^{_HEADING}", report, flags=re.MULTILINE)
    facts = dict(section.split("\n", 1) for section in sections)
    return {name: output.strip() for name, output in facts.items()} if _END in facts else {}


def _devices(guest: Guest) -> dict[str, str]:
    return {
        "root device": f"findfs UUID={guest.root_uuid}",
        "swap device": f"findfs UUID={guest.swap_uuid}",
        **{f"device of {disk.name}": f"findfs UUID={disk.uuid}" for disk in guest.disks},
    }


def _script(facts: Mapping[str, str]) -> Entry:
    lines = ["#!/bin/sh", "exec >/dev/ttyS1 2>&1"]
    for name, command in facts.items():
        lines += [f"echo '{_HEADING}{name}'", command]
    return text(SCRIPT, "\n".join([*lines, f"echo '{_HEADING}{_END}'", ""]), mode=0o755)
