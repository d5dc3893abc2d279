"""streamOptimized VMDKs: a whole disk in one packed file, which VMware imports, and OVF takes; made by qemu-img(1)."""

import re
import struct
from pathlib import Path

from pipeline import process
from pipeline.errors import ImageError
from pipeline.image.files.publish import publish

RECIPE = 1
"""Raise it when the same disk gives another file."""

_SECTOR = 512
# The header of an extent in VMware's Virtual Disk Format 5.0, as far as the place of the descriptor, in sectors: magic
# number, version, flags, capacity, size of a grain, and the descriptor's offset and size.
_HEADER = struct.Struct("<4sIIQQQQ")
_MAGIC = b"KDMV"
_NUMBER = re.compile(rb"^CID=([0-9a-f]{1,8})$", re.MULTILINE)
_EXTENT = re.compile(rb'^(RW \d+ SPARSE) "[^"\n]*"$', re.MULTILINE)


def build(disk: Path, target: Path, *, hardware: int) -> None:
    """Make the VMDK `target` of the disk that the VMDK descriptor `disk` describes; the same disk gives the same bytes.

    `hardware` is the version of VMware's virtual hardware. What was written is read again, and compared. Raises
    ImageError or ProcessError, also where qemu-img is missing or one of the files that `disk` names.
    """
    check_extents(disk)
    if not process.available("qemu-img"):
        raise ImageError("qemu-img is not installed", "a streamOptimized VMDK needs it; Debian has it in qemu-utils")
    options = f"subformat=streamOptimized,adapter_type=lsilogic,hwversion={hardware}"
    with publish(target) as draft:
        process.run(["qemu-img", "convert", "-f", "vmdk", "-O", "vmdk", "-o", options, disk, draft])
        _settle(draft, _number(disk), target.name)
        process.run(["qemu-img", "check", "-f", "vmdk", draft])
        process.run(["qemu-img", "compare", "-f", "vmdk", "-F", "vmdk", disk, draft])


def version() -> str:
    """The version of qemu-img, as "qemu-img version 7.2.22"; "none" where it is missing."""
    return process.version("qemu-img", "--version") if process.available("qemu-img") else "none"


def check_extents(disk: Path) -> None:
    """Raise ImageError unless the files are there of which the VMDK descriptor `disk` makes a disk, and as large."""
    for sectors, name in re.findall(r'^RW (\d+) FLAT "([^"]*)" 0$', disk.read_text(encoding="utf-8"), re.MULTILINE):
        file, size = disk.parent / name, int(sectors) * _SECTOR
        if not file.exists():
            raise ImageError(f"{disk} is a disk of {name}, which is not beside it", "move both together, or build anew")
        if file.stat().st_size != size:
            raise ImageError(
                f"{disk} is a disk of {name} with {size} bytes, and that has {file.stat().st_size}", "build both anew"
            )


def _number(disk: Path) -> bytes:
    """The content ID in a descriptor."""
    found = _NUMBER.search(disk.read_bytes())
    if found is None:
        raise ImageError(f"{disk} is no VMDK descriptor: it has no CID")
    return found[1]


def _settle(image: Path, number: bytes, name: str) -> None:
    """Have the VMDK the content ID `number`, of which qemu-img draws one by lot, and the file name `name`."""
    with image.open("r+b") as file:
        header = _HEADER.unpack(file.read(_HEADER.size))
        magic, offset, sectors = header[0], header[5], header[6]
        file.seek(offset * _SECTOR)
        # Behind its end there may be what is left of a longer one: qemu-img writes it twice, with another number.
        text = file.read(sectors * _SECTOR).partition(b"\0")[0]
        text, numbers = _NUMBER.subn(b"CID=" + number.rjust(8, b"0"), text)
        text, extents = _EXTENT.subn(lambda found: found[1] + b' "' + name.encode() + b'"', text)
        if (magic, numbers, extents) != (_MAGIC, 1, 1) or len(text) > sectors * _SECTOR:
            raise ImageError(f"{image}: qemu-img has made a VMDK of a kind that is not known here")
        file.seek(offset * _SECTOR)
        file.write(text.ljust(sectors * _SECTOR, b"\0"))
