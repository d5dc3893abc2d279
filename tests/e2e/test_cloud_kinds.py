"""Cloud images whose root is of btrfs, with subvolumes, and of XFS on a logical volume, read by libguestfs' appliance.

QEMU emulates the appliance where there is no KVM, which takes half a minute, so all is on one disk, read once; and the
kernel of this machine makes the disk.
"""

import os
import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pipeline.image.layer import acl, tar
from pipeline.image.layer.entries import (
    Content,
    Directory,
    Entry,
    File,
    HardLink,
    Kind,
    Metadata,
    Special,
    Symlink,
    text,
)
from tests.e2e.conftest import ROOT, TINY_MASTER, Workshop
from tests.machine import mounted, need, need_programs, need_root, run

FSTAB = """\
LABEL=cloud / btrfs compress=zstd:1,subvol=root 0 0
LABEL=cloud /home btrfs compress=zstd:1,subvol=/home 0 0
/dev/mapper/system-usr /usr xfs defaults 0 0
LABEL=ESP /boot/efi vfat umask=0077,shortname=winnt 0 2
LABEL=cloud /.snapshots btrfs subvol=root/.snapshots 0 0
tmpfs /tmp tmpfs defaults 0 0
"""
RELEASE = 'ID=fedora\nVERSION_ID=41\nPRETTY_NAME="Fedora Linux 41 (Cloud Edition)"\n'
LABEL = ("security.selinux", b"system_u:object_r:bin_t:s0\0")
LIST = acl.parse("user::rwx,user:1000:r-x,group::r-x,mask::r-x,other::---")
RAW_SOCKETS = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)
"""A file capability, of version 2 and in effect, as include/uapi/linux/capability.h has it."""
BORN = 1_600_000_000_123_456_789


def about(mode: int, *xattrs: tuple[str, bytes], uid: int = 0, gid: int = 0) -> Metadata:
    return Metadata(mode=mode, uid=uid, gid=gid, mtime=BORN, xattrs=tuple(sorted(xattrs)))


SETUID = about(0o4755, ("user.by", b"\0hand\n=\xff"))
SEVERAL_NAMES = [f"{above}/odd/{name}" for above in ("root", "usr") for name in ("su", "su again")]


def files() -> Iterator[Entry]:
    """What is on the disk, in its own order: a tiny master, and all that a file can be on these file systems."""
    for path, data in {**TINY_MASTER, "bin": None, "sbin": None}.items():
        if path not in ("bin", "bin/sh", "sbin/ifup"):
            yield Directory(path, about(0o755)) if data is None else File(path, about(0o644), Content.of(data))
    yield File("usr/bin/sh", about(0o755, LABEL), Content.of(b"sh"))
    yield Symlink("bin", about(0o777), "usr/bin")
    yield text("etc/fstab", FSTAB)
    yield text("etc/os-release", RELEASE)
    for folder in ("etc/cloud", "etc/NetworkManager", "etc/NetworkManager/system-connections", "home", "boot/efi"):
        yield Directory(folder, about(0o755))
    for folder in ("usr/sbin", "usr/lib", "usr/lib/systemd"):
        yield Directory(folder, about(0o755))
    yield text("usr/lib/systemd/systemd", "")
    yield text("usr/sbin/NetworkManager", "")
    yield Directory("home/me", about(0o700, uid=1000, gid=1000))
    yield File("home/me/.profile", about(0o600, uid=1000, gid=4_000_000_000), Content.of(b"# mine\n"))
    for above in ("root", "usr"):  # on btrfs, and on XFS
        odd = f"{above}/odd"
        yield Directory(odd, about(0o1750, ("system.posix_acl_default", LIST), ("system.posix_acl_access", LIST)))
        yield File(f"{odd}/su", SETUID, Content.of(b"x" * 5000))
        yield HardLink(f"{odd}/su again", f"{odd}/su")
        yield File(f"{odd}/ping", about(0o755, ("security.capability", RAW_SOCKETS)), Content.of(b""))
        yield File(f"{odd}/with a list", about(0o750, LABEL, ("system.posix_acl_access", LIST)), Content.of(b""))
        yield Special(f"{odd}/null", about(0o666), Kind.CHARACTER, 1, 3)
        yield Special(f"{odd}/disk", about(0o660, gid=6), Kind.BLOCK, 8, 17)
        yield Special(f"{odd}/fifo", about(0o600), Kind.FIFO)
        yield Symlink(f"{odd}/dangling", about(0o777), "/../ no\nwhere")
        for name in ("new\nline", "back\\slash", "q\"uo'te $(x) `y`", "latin-\udce9", "-rf", "é" * 100):
            yield File(f"{odd}/{name}", about(0o600), Content.of(name.encode(errors="surrogateescape")))


PARTITIONS = """\
label: gpt
start=2048, size=32768, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B
start=34816, size=401408
start=436224, size=868352
"""
"""An EFI system partition, and those of btrfs and of the volume group, in sectors."""

LVM = """\
devices { filter = ["a|^DEVICE$|", "r|.*|"] use_devicesfile = 0 obtain_device_list_from_udev = 0 }
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
global { event_activation = 0 use_lvmpolld = 0 }
backup { backup = 0 archive = 0 }
"""
"""Settings by which LVM sees one device, and asks neither its daemons nor udev; see lvm.conf(5)."""


def disk(folder: Path) -> Path:
    """A qcow2 image with an EFI system partition, btrfs in one partition, and XFS on a logical volume in another.

    The kernel writes it, by mounts. The logical volume is never active, as that needs a device mapper.
    """
    archive, image = folder / "files.tar", folder / "disk.img"
    with archive.open("wb") as file:
        tar.write(sorted(files(), key=lambda entry: entry.path), file)  # or tar would touch folders again
    run("truncate", "--size=640M", image)
    (folder / "partitions").write_text(PARTITIONS)
    run("sh", "-c", f"sfdisk --quiet {image} <{folder}/partitions")
    with ExitStack() as stack:
        esp, btrfs, group = (stack.enter_context(loop(image, *part)) for part in partitions())
        run("mkfs.vfat", "-n", "ESP", esp)
        run("mkfs.btrfs", "--quiet", "--label", "cloud", btrfs)
        lvm = ["--driverloaded", "n", "--config", LVM.replace("DEVICE", group)]
        run("lvm", "pvcreate", *lvm, group)
        run("lvm", "vgcreate", *lvm, "system", group)
        run("lvm", "lvcreate", *lvm, "-an", "-Zn", "-Wn", "-l100%FREE", "-nusr", "system")
        start, size = run("lvm", "pvs", *lvm, "--noheadings", "--units=s", "--nosuffix", "-ope_start,pv_size").split()
        volume = stack.enter_context(loop(Path(group), int(start), int(size)))
        run("mkfs.xfs", "-q", volume)
        root = folder / "root"
        with mounted(btrfs, folder / "top"):
            for name in ("root", "home"):
                run("btrfs", "subvolume", "create", folder / "top" / name)
        stack.enter_context(mounted(btrfs, root, "-o", "subvol=root"))
        stack.enter_context(mounted(btrfs, root / "home", "-o", "subvol=home"))
        stack.enter_context(mounted(volume, root / "usr"))
        unpack = [
            "--numeric-owner",
            "--same-owner",
            "--preserve-permissions",
            "--xattrs",
            "--xattrs-include=*",
            "--acls",
        ]
        run("tar", "--extract", *unpack, "--file", archive, "--directory", root)
        for entry in files():  # tar takes lists of access control from headers of its own alone
            if isinstance(entry, File | Directory):
                for name, value in entry.metadata.xattrs:
                    os.setxattr(root / entry.path, name, value)
        snapshots = root / ".snapshots/1"
        snapshots.mkdir(parents=True)
        run("btrfs", "subvolume", "snapshot", root, snapshots / "snapshot")
        (snapshots / "info.xml").write_text("first")
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", image, folder / "disk.qcow2")
    image.unlink()
    return folder / "disk.qcow2"


def partitions() -> list[tuple[int, int]]:
    """Where each starts and how long it is, in sectors."""
    return [(int(start), int(size)) for start, size in re.findall(r"start=(\d+), size=(\d+)", PARTITIONS)]


@contextmanager
def loop(file: Path, start: int, size: int) -> Iterator[str]:
    """A loop device for sectors of a file."""
    place = [f"--offset={start * 512}", f"--sizelimit={size * 512}"]
    device = run("losetup", "--find", "--show", *place, file).strip()
    try:
        yield device
    finally:
        run("losetup", "--detach", device)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A farm of one guest whose master is on such a disk."""
    need_root()
    need_programs("guestfish", "qemu-img", "sfdisk", "qemu-system-x86_64", "lvm", "mkfs.btrfs", "mkfs.xfs", "mkfs.vfat")
    need(any(os.access(kernel, os.R_OK) for kernel in Path("/boot").glob("vmlinuz-*")), "a kernel for guestfish")
    folder = tmp_path_factory.mktemp("cloud")
    (folder / "dodo.py").write_text((ROOT / "dodo.py").read_text())
    workshop = Workshop(folder)
    disk(folder)
    workshop.write_list("""\
        farm: tiny
        masters: {cloud: {cloud: disk.qcow2}}
        defaults: {master: cloud, root: 16M, swap: none, network: {bridge: xenbr0, gateway: 10.0.0.1}}
        guests:
          fed01: {address: 10.0.0.11/24, host_keys: first-boot}
    """)
    workshop.doit()
    return workshop


def known(entries: Iterable[Entry]) -> dict[str, object]:
    """What there is to know of files, by their names."""
    return {
        each.path: (each.metadata, each.content.read()) if isinstance(each, File) else each
        for each in entries
        if each.path not in SEVERAL_NAMES
    }


def test_everything_comes_over(built: Workshop) -> None:
    """But for the snapshot of it all, and the EFI system partition."""
    found = known(tar.entries(built.path("masters/cloud/rootfs.tar")))
    wanted = known(files())
    more = ["", ".snapshots", "etc/cloud/cloud-init.disabled"]
    assert sorted(found.keys() - wanted.keys()) == more
    for path in wanted.keys() - {"etc/fstab"}:
        assert found.get(path) == wanted[path], ascii(path)


def test_files_of_several_names(built: Workshop) -> None:
    """Which of the names comes first is up to the file system."""
    found = []
    for each in tar.entries(built.path("masters/cloud/rootfs.tar")):
        if each.path in SEVERAL_NAMES:
            found.append(type(each).__name__)
            if isinstance(each, HardLink):
                assert {each.path, each.target} < set(SEVERAL_NAMES)
            else:
                assert isinstance(each, File)
                assert each.metadata == SETUID
                assert each.content.read() == b"x" * 5000
    assert sorted(found) == ["File", "File", "HardLink", "HardLink"]


def test_other_partitions_and_subvolumes_are_not_waited_for(built: Workshop) -> None:
    entries = tar.entries(built.path("masters/cloud/rootfs.tar"))
    fstab = next(each for each in entries if isinstance(each, File) and each.path == "etc/fstab")
    assert fstab.content.read().decode().splitlines() == [FSTAB.splitlines()[number] for number in (0, 5)]


def test_a_guest_of_it(built: Workshop) -> None:
    image = built.path("guests/fed01/root.img")
    run("e2fsck", "-f", "-n", image)
    fstab = run("debugfs", "-R", "cat /etc/fstab", image).splitlines()
    assert fstab[0] == "tmpfs /tmp tmpfs defaults 0 0"
    assert [line.split()[1:3] for line in fstab[1:]] == [["/", "ext4"]]
    assert run("debugfs", "-R", "cat /etc/hostname", image) == "fed01\n"
    assert run("debugfs", "-R", 'cat "/usr/odd/q""uo\'te $(x) `y`"', image) == "q\"uo'te $(x) `y`"
    stat = run("debugfs", "-R", 'stat "/root/odd/su again"', image)
    assert "Mode:  04755" in stat
    assert "Links: 2" in stat
    assert "Device major/minor number: 08:17" in run("debugfs", "-R", "stat /usr/odd/disk", image)
    assert built.path("guests/fed01/vmlinuz").read_bytes() == b"the kernel"
    assert built.doit().executed == []
