"""What is found out about a master while it is read: the machine its programs are for, its kernels' disk drivers."""

import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator

from pipeline.model.architecture import of_elf

Listener = Callable[[int, bytes], None]
"""Gets a file's data piece by piece: an offset, and the bytes from there on."""

_PROGRAM = re.compile(r"(?:usr/)?s?bin/[^/]+")
_MODULE = re.compile(r"(?:usr/)?lib/modules/[^/]+/(?P<name>.+\.ko)(?:\.(?:gz|xz|zst))?")
_LONGEST = 1 << 24
"""Bytes of all lists of what is built into kernels; one has some 10 KiB."""
_LONGEST_LINE = 512
"""Characters of the path of a module; longer ones would take long to compare."""
_BUILT_IN = re.compile(r"(?:usr/)?lib/modules/[^/]+/modules\.builtin")
"""What a kernel has inside that might be a module: see kbuild/kbuild.rst of Linux's documentation."""
_OF_DISKS = re.compile(r"(?:.*/)?drivers/(?:ata|block|ide|message|nvme|scsi|xen)/(?:.*/)?(?P<name>[^/]+)\.ko")
"""Where drivers of disks are in Linux's source, and so among its modules."""

# The header of an ELF file, see elf(5): magic number, class, byte order, and e_machine at an offset of 18.
_ELF, _ORDERS, _MACHINE = b"\x7fELF", {1: "<H", 2: ">H"}, 18


class Findings:
    """What was found so far: `listener(path)` for each file in its turn, and then the properties."""

    def __init__(self) -> None:
        self._machines: Counter[str] = Counter()
        self._modules: set[str] = set()
        self._built_in: dict[str, bytearray] = {}

    def listener(self, path: str) -> Listener | None:
        """Take note of the file at `path`; what is returned, if anything, wants to know what is in it."""
        if _PROGRAM.fullmatch(path):
            return self._program
        if module := _MODULE.fullmatch(path):
            self._modules.update(_drivers(module["name"]))
        elif _BUILT_IN.fullmatch(path) and sum(map(len, self._built_in.values())) <= _LONGEST:
            text = self._built_in[path] = bytearray()
            return lambda offset, data: _put(text, offset, data)
        return None

    @property
    def machine(self) -> str | None:
        """What machine most of its programs are for, as "x86-64"; None if it has none."""
        return self._machines.most_common(1)[0][0] if self._machines else None

    @property
    def drivers(self) -> tuple[str, ...] | None:
        """The names of its kernels' drivers for disks, with _ for -; None where there is no telling what they have."""
        if not self._built_in:  # no modules, or a list of those alone that are not part of the kernel
            return None
        inside = {name for text in self._built_in.values() for name in _drivers(text.decode(errors="replace"))}
        return tuple(sorted(self._modules | inside))

    def _program(self, offset: int, data: bytes) -> None:
        if offset == 0 and data.startswith(_ELF) and len(data) >= _MACHINE + 2 and data[5] in _ORDERS:
            (number,) = struct.unpack_from(_ORDERS[data[5]], data, _MACHINE)
            self._machines[of_elf(number)] += 1


def _drivers(lines: str) -> Iterator[str]:
    """The names of those modules that are drivers for disks, one a line."""
    for line in lines.splitlines():
        if len(line) <= _LONGEST_LINE and (found := _OF_DISKS.fullmatch(line)):
            yield found["name"].replace("-", "_")


def _put(text: bytearray, offset: int, data: bytes) -> None:
    if offset + len(data) > _LONGEST:
        return
    text.extend(bytes(max(0, offset - len(text))))
    text[offset : offset + len(data)] = data
