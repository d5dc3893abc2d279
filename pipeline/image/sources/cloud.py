"""Cloud images: whole disks with partitions, raw or qcow2, whose root file system is taken out of them."""

import json
import re
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from typing import Any, Final

from pipeline import input_file, process
from pipeline.errors import GuestfarmError, MasterError, ProcessError
from pipeline.image import ext
from pipeline.image.files import private, sparse
from pipeline.image.layer.entries import Content, Entry, File, HardLink, Layer, limited, text
from pipeline.image.sources import inspection
from pipeline.model.sizes import approximate_size

RECIPE = 2
"""Raise it when the same disk gives another root file system: what was made by an older recipe is stale."""

_CLOUD_INIT: Final = "etc/cloud"
_QUIET: Final = f"{_CLOUD_INIT}/cloud-init.disabled"
"""What keeps cloud-init from doing anything: see "Disable cloud-init" in its documentation."""
_FSTAB: Final = "etc/fstab"
_LARGEST_FSTAB: Final = 1 << 20
_LOCAL: Final = re.compile("(UUID|LABEL|PARTUUID|PARTLABEL)=|/dev/")
"""How fstab(5) names a part of a disk."""
_QCOW2: Final = b"QFI\xfb"
_HEADER: Final = struct.Struct(">4sIQ56xQ")
"""Magic, version, offset of the backing file's name, incompatible features: see qemu's docs/interop/qcow2.txt."""
_EXTERNAL_DATA: Final = 1 << 2
_ROOT_TYPES: Final = ("4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",)
"""The root of x86-64; see the Discoverable Partitions Specification."""
_MAGIC_AT, _MAGIC = 1024 + 0x38, b"\x53\xef"
"""Of ext2, ext3 and ext4; see the ext4 disk layout in the kernel's documentation."""
_PACKAGES: Final = {"qemu-img": "qemu-utils", "sfdisk": "fdisk"}
_LIMITS: Final = process.Limits(memory=1 << 30, seconds=5)
"""Enough to go through the tables of any image that there is data for."""
_TO_QCOW2: Final = ("-f", "qcow2", "-O", "qcow2")


@dataclass(frozen=True, slots=True)
class _Partition:
    """A part of a disk, in bytes."""

    start: int
    size: int
    kind: str


@contextmanager
def opened(image: Path, beside: Path, limit: int | None = None) -> Iterator[Layer]:
    """The root file system of a disk, with cloud-init told to do nothing.

    A qcow2 image, and a root of another kind than ext2, ext3 or ext4, are unpacked beside the file `beside`. Raises
    MasterError for a disk without a root, or with more data than the guests' root disks of
    `limit` bytes may need, or than `beside` has room for.
    """
    with _errors(image, beside), ExitStack() as stack:
        disk = stack.enter_context(_raw(image, beside, limit))
        yield limited(_adapted(stack.enter_context(_root(disk, beside, limit))), limit)


@contextmanager
def _root(disk: Path, beside: Path, limit: int | None) -> Iterator[Layer]:
    partitions = _partitions(disk)
    with ExitStack() as stack:
        candidates = [each for each in partitions if _is_ext(disk, each)]
        filesystems = [stack.enter_context(ext.open(disk, write=False, offset=each.start)) for each in candidates]
        root = next((each for each in filesystems if each.exists("etc") and each.exists("usr")), None)
        if root is not None:
            boot = next((each for each in filesystems if each is not root and _has_kernel(each, "")), None)
            yield _with_boot(root, None if _has_kernel(root, "boot") else boot)
            return
    kinds = _kinds(disk, partitions)
    if not any(kind in inspection.KINDS for kind in kinds):
        raise inspection.not_found(kinds)
    # Named like the file, so that what a killed run leaves is found by publish.sweep().
    with TemporaryDirectory(dir=beside.parent, prefix=f"{beside.name}-root-") as folder:
        archive = Path(folder, "root.tar")
        private.create(archive)
        inspection.pack(disk, archive, limit)
        yield inspection.entries(archive)


def _with_boot(root: ext.FileSystem, boot: ext.FileSystem | None) -> Layer:
    for entry in root.entries():
        if not (boot and entry.path.startswith("boot/")):
            yield entry
    if boot:
        for entry in boot.entries():
            if entry.path:
                yield _below("boot", entry)


def _adapted(root: Layer) -> Layer:
    has_cloud_init = False
    for entry in root:
        has_cloud_init |= entry.path == _CLOUD_INIT
        if entry.path == _FSTAB and isinstance(entry, File):
            yield _with_root_alone(entry)
        elif entry.path != _QUIET:
            yield entry
    if has_cloud_init:
        yield text(_QUIET, "")


def _with_root_alone(fstab: File) -> File:
    """The same without the other partitions of the disk, such as /boot/efi: a guest would wait for them in vain."""
    if fstab.content.size > _LARGEST_FSTAB:
        raise MasterError(f"its /{_FSTAB} is too large for what it should be")
    lines = fstab.content.read().decode(errors="surrogateescape").splitlines()
    kept = [line for line in lines if not _is_of_another_partition(line.split())]
    contents = "".join(f"{line}\n" for line in kept).encode(errors="surrogateescape")
    return replace(fstab, content=Content.of(contents))


def _is_of_another_partition(fields: list[str]) -> bool:
    return len(fields) > 1 and _LOCAL.match(fields[0]) is not None and fields[1] != "/"


def _below(folder: str, entry: Entry) -> Entry:
    if isinstance(entry, HardLink):
        return HardLink(f"{folder}/{entry.path}", f"{folder}/{entry.target}")
    return replace(entry, path=f"{folder}/{entry.path}")


def _has_kernel(filesystem: ext.FileSystem, folder: str) -> bool:
    return any(name.startswith(("vmlinuz", "vmlinux")) for name in filesystem.names(folder))


@contextmanager
def _raw(image: Path, beside: Path, limit: int | None) -> Iterator[Path]:
    """The disk as it is, without the format of a virtual machine."""
    with input_file.open_regular(image) as file:
        header = file.read(_HEADER.size).ljust(_HEADER.size, b"\0")
    magic, version, backing, features = _HEADER.unpack(header)
    if magic != _QCOW2:
        yield image
        return
    if backing or (version > 2 and features & _EXTERNAL_DATA):  # version 2 has no features
        raise MasterError(
            "its data is in another file as well, which is not read", "make it one: qemu-img convert -O qcow2"
        )
    _check_size(image, sparse.free_space(beside.parent), limit)
    with NamedTemporaryFile(dir=beside.parent, prefix=f"{beside.name}-disk-") as disk:
        _run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, disk.name)
        yield Path(disk.name)


def _check_size(image: Path, free: int, limit: int | None) -> None:
    """Raise MasterError for a qcow2 image that would fill the disk, or has far more than guests have room for.

    Few bytes can stand for any number: entries of its tables may lead to the same data. What its data would take is
    counted by qemu-img in another qcow2 image, since a raw one always counts as all of the disk.
    """
    try:
        told = json.loads(_run("qemu-img", "measure", "--output=json", *_TO_QCOW2, image, limits=_LIMITS))
    except ProcessError as error:
        raise MasterError(f"what is in it cannot be measured: {error.message}", "copy the image again") from error
    data = int(told["required"])
    if limit is not None and data > 2 * limit:
        raise MasterError(
            f"it holds {approximate_size(data)}, more than twice what the guests' root disks have room for, of"
            f" {approximate_size(limit)}",
            "give them a larger root",
        )
    if data > free:
        raise MasterError(f"unpacked, it takes {approximate_size(data)}, and {approximate_size(free)} is free")


def _partitions(disk: Path) -> list[_Partition]:
    """The partitions of `disk`, its likely root first; all of the disk where it has no table."""
    size = disk.stat().st_size
    whole = _Partition(0, size, "")
    if _is_ext(disk, whole) or any(kind in inspection.KINDS for kind in _kinds(disk, [whole])):
        return [whole]
    table = json.loads(_run("sfdisk", "--json", disk)).get("partitiontable", {})
    sector = int(table.get("sectorsize", 512))
    found = [_partition(each, sector) for each in table.get("partitions", [])]
    if any(each.start + each.size > size for each in found):
        raise MasterError("its partitions end behind the end of the disk", "copy the image again")
    return sorted(found, key=lambda each: (each.kind not in _ROOT_TYPES, -each.size))


def _partition(described: dict[str, Any], sector: int) -> _Partition:
    return _Partition(int(described["start"]) * sector, int(described["size"]) * sector, str(described.get("type")))


def _is_ext(disk: Path, partition: _Partition) -> bool:
    with input_file.open_regular(disk) as file:
        file.seek(partition.start + _MAGIC_AT)
        return file.read(len(_MAGIC)) == _MAGIC


def _kinds(disk: Path, partitions: list[_Partition]) -> list[str]:
    """What blkid(8) says that they are, for as many as it knows."""
    kinds = []
    for each in partitions:
        place = ("--offset", str(each.start), "--size", str(each.size))
        completed = process.run(
            ["blkid", "--probe", *place, "--match-tag", "TYPE", "--output", "value", disk], codes=(0, 2, 8)
        )
        kinds += [kind for kind in completed.stdout.split() if kind.isprintable()]
    return kinds


@contextmanager
def _errors(image: Path, beside: Path) -> Iterator[None]:
    """Errors in the block, with the disk's name instead of what was unpacked beside the file `beside`."""
    try:
        yield
    except input_file.UnfitFileError as error:
        raise MasterError(f"{image}: {error.strerror}") from error
    except GuestfarmError as error:
        message = re.sub(rf"{re.escape(str(beside))}-[^:]*: ", "", error.message)
        raise MasterError(f"{image}: {message.removeprefix(f'{image}: ')}", error.hint) from error


def _run(program: str, *arguments: str | Path, limits: process.Limits | None = None) -> str:
    if not process.available(program):
        raise MasterError(
            f"the program {program} is missing, which reads cloud images",
            f"on Debian: apt install {_PACKAGES[program]}",
        )
    return process.run([program, *arguments], limits=limits).stdout
