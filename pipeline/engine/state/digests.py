"""Whether a file that a task depends on has changed: its contents decide, and are read once per change."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from doit.dependency import FileChangedChecker

from pipeline.engine.state import state
from pipeline.image.files import digest
from pipeline.image.files.content import Chunks
from pipeline.input_file import UnfitFileError

_NO_FILE = "no regular file"


class Digests:
    """The digests of files, remembered in the state database until a file's inode says that it is another.

    doit's own checker hashes a file for each task that depends on it, and takes a file of the same time for the same.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._known: dict[str, tuple[str, str]] | None = None
        # To ask the database takes longer than to make a guest's configuration, which has two kernels' names.
        self._contents: dict[tuple[Path, str], str] = {}
        self._chunks: dict[tuple[Path, str], Chunks] = {}

    def of(self, path: str, status: os.stat_result) -> str:
        """The digest of the file at `path`, which is in the state `status`; another than any file's if it is none.

        Then its task runs, and says what is wrong with it.
        """
        if self._known is None:
            self._known = self._read()
        stamp = _stamp(status)
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            try:
                known = (stamp, digest.of_file(Path(path)))
            except (UnfitFileError, IsADirectoryError):
                return _NO_FILE
            self._known[path] = known
            if self._database.exists():
                with state.opened(self._database) as connection:
                    row = (state.anchors(self._database).on_record(path), *known)
                    connection.execute("insert or replace into digest values (?, ?, ?)", row)
        return known[1]

    def chunks(self, path: Path) -> Chunks:
        """The digests of the chunks of the file at `path`, which many are cloned from. Raises OSError."""
        stamp = _stamp(path.stat())
        if (path, stamp) not in self._chunks:
            self._chunks[path, stamp] = self._read_chunks(path, stamp)
        return self._chunks[path, stamp]

    def content(self, path: Path) -> str:
        """The digest of the contents of the file at `path`; see Chunks.digest(). Raises OSError."""
        stamp = _stamp(path.stat())
        if (path, stamp) not in self._contents:
            self._contents[path, stamp] = self._read_content(path, stamp)
        return self._contents[path, stamp]

    def _read_chunks(self, path: Path, stamp: str) -> Chunks:
        row = self._content(path, stamp)
        if row is not None and isinstance(row[1], bytes):
            with suppress(ValueError):
                return Chunks.unpack(row[1])
        found = Chunks.of(path)
        self._note_content(path, stamp, found.digest(), found.pack())
        return found

    def _read_content(self, path: Path, stamp: str) -> str:
        row = self._content(path, stamp)
        if row is not None and isinstance(row[0], str):
            return row[0]
        found = Chunks.of(path).digest()
        self._note_content(path, stamp, found, None)
        return found

    def _content(self, path: Path, stamp: str) -> tuple[Any, Any] | None:
        if not self._database.exists():
            return None
        with state.opened(self._database) as connection:
            name = state.anchors(self._database).on_record(str(path))
            row: tuple[Any, Any] | None = connection.execute(
                "select digest, chunks from content where path = ? and stamp = ?", (name, stamp)
            ).fetchone()
            return row

    def _note_content(self, path: Path, stamp: str, found: str, chunks: bytes | None) -> None:
        if self._database.exists():
            with state.opened(self._database) as connection:
                name = state.anchors(self._database).on_record(str(path))
                connection.execute("insert or replace into content values (?, ?, ?, ?)", (name, stamp, found, chunks))

    def _read(self) -> dict[str, tuple[str, str]]:
        if not self._database.exists():
            return {}
        anchors = state.anchors(self._database)
        with state.opened(self._database) as connection:
            rows = connection.execute("select path, stamp, digest from digest")
            # What else may be there is none of ours: then the file is read.
            return {
                anchors.path(row[0]): (row[1], row[2]) for row in rows if all(isinstance(each, str) for each in row)
            }


def _stamp(status: os.stat_result) -> str:
    # The time of change (ctime) cannot be set: it differs even when size and mtime were made the same again. But a new
    # hard link is a change, too, and a kernel gets one with each guest.
    changed = status.st_ctime_ns if status.st_nlink == 1 else 0
    return f"{status.st_size} {status.st_mtime_ns} {changed} {status.st_ino} {status.st_dev}"


def checker(digests: Digests) -> type[FileChangedChecker]:
    """The class that doit makes its checker of."""

    class ContentChecker(FileChangedChecker):  # type: ignore[misc]  # doit has no types
        """What is on record of a file is its digest."""

        def check_modified(self, file_path: str, file_stat: os.stat_result, state: str) -> bool:
            """Whether the file is another than the one on record as `state`."""
            return digests.of(file_path, file_stat) != state

        def get_state(self, dep: str, current_state: str | None) -> str | None:
            """What to put on record; None if that is there already."""
            now = digests.of(dep, self.info(dep))
            return None if now == current_state else now

        def content(self, path: str) -> str:
            """The digest of the contents of the file at `path`. Raises OSError."""
            return digests.content(Path(path))

        def chunks(self, path: Path) -> Chunks:
            """The digests of the chunks of the file at `path`. Raises OSError."""
            return digests.chunks(path)

        def digest(self, path: str) -> str:
            """The digest of the file at `path`. Raises FileNotFoundError."""
            return digests.of(path, os.stat(path))  # noqa: PTH116  # as everywhere here, paths are text

    return ContentChecker
