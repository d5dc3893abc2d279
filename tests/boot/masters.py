"""Masters made out of that of Debian's packages, in far less time than it takes to install packages."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from pipeline.image.layer import tar
from pipeline.image.layer.entries import Content, Directory, Entry, File, Layer, Metadata, Symlink, text

_INIT = {
    "etc/inittab": """\
::sysinit:/etc/start
::respawn:/sbin/getty -L 115200 console vt100
::shutdown:/sbin/swapoff -a
::shutdown:/bin/mount -o remount,ro /
""",
    "etc/start": """\
#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
hostname -F /etc/hostname
mount -o remount,rw /
mount -a
swapon -a
ifup -a
""",
    "etc/udhcpc/default.script": """\
#!/bin/sh
[ "$1" != bound ] || ip addr add "$ip/$mask" dev "$interface"
""",
}


_PARTITIONS = """\
PARTUUID=9d4cdb3b-43a4-4f7f-a8ca-8d1e4f5d1a51 / ext4 rw,discard,errors=remount-ro,x-systemd.growfs 0 1
PARTUUID=0a6b1d3b-3b30-4e5c-8a52-8b3b0c1c4a15 /boot/efi vfat defaults 0 0
"""


def write_busybox(debian: Path, target: Path) -> None:
    """BusyBox, with Debian's kernel and initrd: its guests boot in a few seconds."""
    _write(target, _busybox(debian))


def write_broken(debian: Path, target: Path) -> None:
    """The same, but what starts first ends at once."""
    broken = text("sbin/init", "#!/bin/busybox sh\nexit 1\n", mode=0o755)
    _write(target, (broken if entry.path == broken.path else entry for entry in _busybox(debian)))


def write_networkd(debian: Path, target: Path) -> None:
    """Debian as systemd alone has it: without ifupdown, hence with systemd-networkd; and with ssh.socket."""
    _write(target, _networkd(debian))


def write_netplan(tools: Path, debian: Path, target: Path) -> None:
    """Debian with netplan, hence with networkd behind it; and with the other one's kernel and initrd."""
    _write(target, chain(_without(("network-manager", "cloud-init"), tools), _kernel(debian)))


def write_networkmanager(tools: Path, debian: Path, target: Path) -> None:
    """Debian with NetworkManager; and with the other one's kernel and initrd."""
    _write(target, chain(_without(("netplan.io", "cloud-init"), tools), _kernel(debian)))


def write_cloud(tools: Path, debian: Path, target: Path) -> None:
    """What Debian's images for clouds have: cloud-init, netplan, and in fstab the partitions of the disk."""
    own = _without(("network-manager",), tools)
    idle = ("usr/share/doc/", "usr/share/locale/", "usr/share/man/")
    slow = ("etc/systemd/system/multi-user.target.wants/e2scrub_reap.service", "etc/fstab")
    kept = (entry for entry in own if not entry.path.startswith(idle) and entry.path not in slow)
    _write(target, chain(kept, [text("etc/fstab", _PARTITIONS)], _kernel(debian)))


def read(archive: Path, path: str) -> bytes:
    """The contents of the file at `path` in a tar file."""
    for entry in tar.entries(archive):
        if isinstance(entry, File) and entry.path == path:
            return b"".join(data for _, data in entry.content.chunks())
    raise AssertionError(f"there is no file {path} in {archive}")


def _busybox(debian: Path) -> Iterator[Entry]:
    program = shutil.which("busybox")
    assert program
    applets = subprocess.run([program, "--list-full"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    for name in ("dev", "proc", "root", "run", "sys", "tmp", "var", "var/run"):
        yield Directory(name, Metadata(mode=0o755))
    for applet in applets:
        yield Symlink(applet, Metadata(mode=0o777), "/bin/busybox")
    yield File("bin/busybox", Metadata(mode=0o755), Content.of(Path(program).read_bytes()))
    for name, contents in _INIT.items():
        yield text(name, contents, mode=0o755)
    yield from (entry for entry in tar.entries(debian) if entry.path.startswith("boot/"))


def _kernel(debian: Path) -> Iterator[Entry]:
    folders = ("boot/", "usr/lib/modules")
    yield from (entry for entry in tar.entries(debian) if entry.path.startswith(folders))


def _without(packages: Sequence[str], archive: Path) -> Iterator[Entry]:
    lists = [read(archive, f"var/lib/dpkg/info/{package}.list").decode() for package in packages]
    listed = [line for each in lists for line in each.splitlines()]
    # dpkg knows files by the names that they have in their packages; /sbin is a symlink to /usr/sbin by now.
    merged = {"bin", "lib", "lib64", "sbin"}
    gone = {name for path in listed for name in (path.removeprefix("/"), f"usr{path}")} - merged
    for entry in tar.entries(archive):
        if not isinstance(entry, File | Symlink) or entry.path not in gone:
            yield entry


def _networkd(debian: Path) -> Iterator[Entry]:
    for entry in _without(("ifupdown",), debian):
        if entry.path == "etc/systemd/system/multi-user.target.wants/ssh.service":
            socket = "sockets.target.wants/ssh.socket"
            yield Symlink(f"etc/systemd/system/{socket}", Metadata(mode=0o777), "/lib/systemd/system/ssh.socket")
            continue
        yield entry


def _write(target: Path, layer: Layer) -> None:
    with target.open("wb") as file:
        tar.write(layer, file)
