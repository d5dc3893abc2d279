"""POSIX access control lists: from the text that tar files hold to the bytes that the kernel's xattrs hold."""

import struct

from pipeline.errors import ImageError

ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"

_VERSION = 2
_UNDEFINED_ID = 0xFFFFFFFF
_TAGS = {
    ("user", False): 0x01,
    ("user", True): 0x02,
    ("group", False): 0x04,
    ("group", True): 0x08,
    ("mask", False): 0x10,
    ("other", False): 0x20,
}


def parse(text: str) -> bytes:
    """The value of the extended attribute that the access control list `text` stands for.

    `text` is in the long form of acl(5), its entries parted by commas or newlines, as tar's `--acls` and star(5) write
    it; the number that star adds after a name's permissions counts. The bytes are those of the kernel's
    include/uapi/linux/posix_acl_xattr.h. Raises ImageError for a name without a number.
    """
    entries = [_entry(line) for line in text.replace(",", "\n").split("\n") if line.strip()]
    packed = (struct.pack("<HHI", *entry) for entry in sorted(entries, key=lambda entry: (entry[0], entry[2])))
    return struct.pack("<I", _VERSION) + b"".join(packed)


def _entry(line: str) -> tuple[int, int, int]:
    fields = line.partition("#")[0].strip().split(":")
    if len(fields) == 2:  # mask and other may leave out their empty name
        fields.insert(1, "")
    if len(fields) < 3 or (fields[0], bool(fields[1])) not in _TAGS:
        raise ImageError(f"access control list: cannot make sense of {line!r}")
    tag, name, permissions, *number = fields
    bits = sum(bit for letter, bit in (("r", 4), ("w", 2), ("x", 1)) if letter in permissions)
    return _TAGS[tag, bool(name)], bits, _id(name, number) if name else _UNDEFINED_ID


def _id(name: str, number: list[str]) -> int:
    for candidate in (*number, name):
        if candidate.isascii() and candidate.isdigit() and int(candidate) < _UNDEFINED_ID:
            return int(candidate)
    raise ImageError(f"access control list: {name!r} has no number", "pack the archive with tar --xattrs, too")
