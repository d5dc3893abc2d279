"""What artifacts there are, kept from one run to the next: to find out anew takes a second for each 10,000 guests.

A catalogue is good for one guest list, one version of our code, of Python and of the libraries that read the list, one
folder to build in, and the files that were looked at when the list was read. If any of them changed, it is made again.
It holds no answers that tools or files give: what has to be asked, as the version of mkfs, is asked by each run. What
templates come to follows from the list, the libraries and the files that were looked at, and need not be asked.

Python's own formats are read in no time, but only from friends: they can crash Python, or run programs. So a catalogue
is used only if it is a file of our own user that nobody else may read or write, and with the digest of all of it ahead.
One that is damaged, somebody else's or out of date is as good as none.
"""

import marshal
import os
import pickle
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import ImageError
from pipeline.image.files.private import check_owner
from pipeline.model.farm import Note

_PACKAGE = Path(__file__).parents[2]
_DIGEST = 32
_SECOND = 10**9
_TICK = 2 * 10**7
"""Nanoseconds in which two changes may have one time: twice the kernel's slowest tick, of CONFIG_HZ=100.

File systems that keep times in seconds may need two seconds, as FAT does.
"""

Stamp = tuple[int, ...] | None
"""What changes when a file does: its size, times of modification and change in nanoseconds, inode and device."""
_UNSETTLED: Stamp = ()

Asked = tuple[tuple[str, Callable[[], Any]], ...]
"""Inputs that have to be asked, by name."""


class Entry(NamedTuple):
    """An artifact, without what it takes to build it."""

    name: str
    doc: str
    targets: tuple[str, ...]
    files: tuple[str, ...]
    tasks: tuple[str, ...]
    """What comes before it besides what makes its files."""
    on_request: bool
    """Whether it is made only when it is asked for by name."""
    guest: str | None
    """The guest that it is the own of, if any."""
    inputs: bytes
    """The fingerprint of those inputs that are values."""
    asked: Asked


class Catalogue:
    """The artifacts of each group, in files of the folder `folder`.

    `basis` is what they follow from besides code and the list, and `text` is the list.
    """

    def __init__(self, folder: Path, basis: object, text: bytes) -> None:
        versions = (sys.version, *map(_stamp_of_library, ("doit", "yaml", "jinja2", "markupsafe")))
        self._folder = folder
        self._unsaved: dict[str, bytes] = {}
        self._basis = _digest(repr((versions, str(Path.cwd()), list(_stamps(_PACKAGE)), basis)).encode())
        self._text = _digest(text)
        known, files, warnings, farm = self._load("list", self._basis) or (None, [], b"", "")
        self.farm: str = farm
        """The name of the farm, once its list was read."""
        self._files: list[tuple[str, Any]] = files
        is_good = known is not None and all(_stamp(path) == stamp for path, stamp in files)
        self.is_known = is_good and known == self._text
        """Whether the list was read before, and nothing has changed that it depends on."""
        self.warnings: Sequence[Note] = pickle.loads(warnings) if is_good else ()  # noqa: S301  # our own file
        """What was found in the list that is, or depending on masters may be, a mistake."""
        self._entries: dict[str, list[Entry] | None] = {}

    @staticmethod
    def stamp(path: Path) -> Stamp:
        """What the file at `path` is known by, asked for before it is read.

        None if there is none; what no file has, if it may change once more without its stamp changing.
        """
        stamp = _stamp(str(path))
        return _UNSETTLED if stamp is not None and time.time_ns() - max(stamp[1:3]) < _tick(stamp[2]) else stamp

    def note_list(self, farm: str, files: Mapping[Path, Stamp], warnings: Sequence[Note]) -> None:
        """Note that the list of `farm` has no mistakes, but for `warnings`, and the `files` that tell so."""
        self.farm = farm
        self._files = [(str(path), stamp) for path, stamp in files.items()]
        self.is_known = True
        self.warnings = warnings
        self._save("list", self._basis, (self._text, self._files, pickle.dumps(warnings), farm))

    def entries(self, group: str, source: str) -> list[Entry] | None:
        """The artifacts of the `group` that a function in the file `source` lists, if that is known."""
        if self.is_known and group not in self._entries:
            self._entries[group] = self._load_entries(group, self._key_of(source))
        return self._entries.get(group)

    def note(self, group: str, source: str, entries: Iterable[Entry]) -> None:
        """Keep the artifacts of a group for later runs."""
        if not self.is_known:
            return
        numbers: dict[Asked, int] = {}
        rows = [(*entry[:-1], numbers.setdefault(entry.asked, len(numbers))) for entry in entries]
        try:
            pickled = pickle.dumps(list(numbers))
        except (pickle.PicklingError, AttributeError, TypeError):  # a function that has no name of its own
            return
        self._save(f"group-{group}", self._key_of(source), (rows, pickled))

    def forget(self, group: str) -> None:
        """Have the artifacts of a group listed anew."""
        with suppress(OSError):
            (self._folder / f"group-{group}").unlink()

    def save(self) -> None:
        """Keep what could not be kept yet, because there was no folder to build in.

        Where that does not work, as in a folder that is not ours, nothing is kept.
        """
        if not _is_own(self._folder.parent):  # its owner could neither use nor replace what is kept there
            return
        for name, data in self._unsaved.items():
            draft = self._folder / f".{name}-{secrets.token_hex(4)}"
            try:
                self._check_owner()
                self._folder.mkdir(mode=0o700, exist_ok=True)
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(_digest(data))
                    file.write(data)
                draft.rename(self._folder / name)
            except (OSError, ImageError):
                with suppress(OSError):
                    draft.unlink()
        self._unsaved.clear()

    def sweep(self) -> None:
        """Remove what killed commands left. One that is at work meanwhile keeps nothing then, which does no harm."""
        with suppress(OSError, ImageError):
            self._check_owner()
            for draft in self._folder.glob(".*"):
                draft.unlink(missing_ok=True)

    def _check_owner(self) -> None:
        check_owner(self._folder.parent)
        check_owner(self._folder)

    def _load_entries(self, group: str, key: bytes) -> list[Entry] | None:
        found = self._load(f"group-{group}", key)
        if found is None:
            return None
        rows, pickled = found
        asked = pickle.loads(pickled)  # noqa: S301  # it is our own file: see above
        return [Entry._make((*row[:-1], asked[row[-1]])) for row in rows]

    def _key_of(self, source: str) -> bytes:
        return _digest(repr((self._basis, self._text, self._files, source, _stamp(source))).encode())

    def _load(self, name: str, key: bytes) -> Any:  # noqa: ANN401  # what was saved
        try:
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        status = os.fstat(descriptor)
        ours = status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077
        if not ours or not stat.S_ISREG(status.st_mode):
            os.close(descriptor)
            return None
        with os.fdopen(descriptor, "rb") as file:
            digest, data = file.read(_DIGEST), file.read()
        if digest != _digest(data):
            return None
        known, content = marshal.loads(data)  # noqa: S302  # as for pickle
        return content if known == key else None

    def _save(self, name: str, key: bytes, content: Any) -> None:  # noqa: ANN401  # as above
        self._unsaved[name] = marshal.dumps((key, content))
        if self._folder.parent.exists():
            self.save()


def _is_own(folder: Path) -> bool:
    try:
        return folder.stat().st_uid == os.geteuid()
    except OSError:
        return False


def _stamps(folder: Path) -> Iterator[object]:
    """What changes when a file in `folder`, or deeper, does; but for what Python keeps of its own."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        for name in sorted(files):
            yield place, name, _stamp(f"{place}/{name}")


def _tick(time_of_change: int) -> int:
    return 2 * _SECOND if time_of_change % _SECOND == 0 else _TICK


def _stamp(path: str) -> Stamp:
    """What changes when a file does; the time of change (ctime) cannot be set."""
    try:
        status = os.stat(path)  # noqa: PTH116  # as everywhere here, paths are text
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def _stamp_of_library(name: str) -> object:
    spec = find_spec(name)
    return spec and spec.origin and _stamp(spec.origin)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=_DIGEST).digest()
