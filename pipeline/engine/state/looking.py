"""Looking without touching: commands that change nothing read a copy of the state, in memory.

So they work on file systems that are read-only or full, in folders of other users, and while a run writes; and none of
SQLite's files besides the database is made, which would be in the way of whoever owns the folder.
"""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

_ATTEMPTS = 5
"""How often a database is read that changes meanwhile; a run writes to the database itself once in 1,000 pages."""

_ROLLBACK_JOURNAL = 1
"""What stands in bytes 18 and 19 of a database that is not in WAL mode: https://sqlite.org/fileformat2.html."""

_copies: dict[Path, "_Copy"] | None = None
"""The copies that were made, while something only looks."""


class _Copy(sqlite3.Connection):
    """A copy that several read, one after the other: it stays open until all have ended."""

    def close(self) -> None:
        """Leave it open."""


@contextmanager
def only() -> Iterator[None]:
    """In the block, nothing but copies of states is opened."""
    global _copies  # noqa: PLW0603  # what opens the state is called by doit, and knows nothing of commands
    before, _copies = _copies, {}
    try:
        yield
    finally:
        for copy in _copies.values():
            sqlite3.Connection.close(copy)
        _copies = before


def is_on() -> bool:
    """Whether nothing is to be changed."""
    return _copies is not None


def copy_of(path: Path) -> sqlite3.Connection:
    """A copy of the database at `path`, in memory. Raises sqlite3.Error and OSError."""
    copies = {} if _copies is None else _copies
    if path not in copies:
        copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=_Copy)
        copies[path] = copy
        if not _read_file(path, copy):
            _read_with_log(path, copy)
    return copies[path]


def _read_file(path: Path, copy: sqlite3.Connection) -> bool:
    """Have `copy` be what is in the database file, if that is all: no write-ahead log has more, and nobody writes."""
    for _ in range(_ATTEMPTS):
        if _size(_log(path)):
            return False
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            data = bytearray(file.read())
            after = os.fstat(file.fileno())
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns) and not _size(_log(path)):
            if data[18:20]:
                data[18:20] = bytes([_ROLLBACK_JOURNAL] * 2)
                copy.deserialize(bytes(data))
            return True
    return False


def _read_with_log(path: Path, copy: sqlite3.Connection) -> None:
    """Have `copy` be what is in the database and its write-ahead log."""
    try:
        _back_up(path, copy)
    except sqlite3.OperationalError:  # there is no index of the log, and nowhere to make it
        with TemporaryDirectory() as folder:
            twin = Path(folder, path.name)
            shutil.copyfile(path, twin)
            shutil.copyfile(_log(path), _log(twin))
            _back_up(twin, copy)


def _back_up(path: Path, copy: sqlite3.Connection) -> None:
    uri = f"file:{quote(str(path))}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=30)) as source:
        source.backup(copy)


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
