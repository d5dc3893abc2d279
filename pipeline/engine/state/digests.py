"""Whether a file that a task depends on has changed: its contents decide, and are read once per change."""

import os
from pathlib import Path

from doit.dependency import FileChangedChecker

from pipeline.engine.state import state
from pipeline.image.files import digest
from pipeline.input_file import UnfitFileError

_NO_FILE = "no regular file"


class Digests:
    """The digests of files, remembered in the state database until a file's inode says that it is another.

    doit's own checker hashes a file for each task that depends on it, and takes a file of the same time for the same.
    """

    def __init__(self, database: Path) -> None:
        self._database = database
        self._known: dict[str, tuple[str, str]] | None = None

    def of(self, path: str, status: os.stat_result) -> str:
        """The digest of the file at `path`, which is in the state `status`; another than any file's if it is none.

        Then its task runs, and says what is wrong with it.
        """
        if self._known is None:
            self._known = self._read()
        # The time of change (ctime) cannot be set: it differs even when size and mtime were made the same again. But a
        # new hard link is a change, too, and a kernel gets one with each guest.
        changed = status.st_ctime_ns if status.st_nlink == 1 else 0
        stamp = f"{status.st_size} {status.st_mtime_ns} {changed} {status.st_ino} {status.st_dev}"
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            try:
                known = (stamp, digest.of_file(Path(path)))
            except (UnfitFileError, IsADirectoryError):
                return _NO_FILE
            self._known[path] = known
            if self._database.exists():
                with state.opened(self._database) as connection:
                    connection.execute("insert or replace into digest values (?, ?, ?)", (path, *known))
        return known[1]

    def _read(self) -> dict[str, tuple[str, str]]:
        if not self._database.exists():
            return {}
        with state.opened(self._database) as connection:
            rows = connection.execute("select path, stamp, digest from digest")
            return {path: (stamp, known) for path, stamp, known in rows}


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

        def digest(self, path: str) -> str:
            """The digest of the file at `path`. Raises FileNotFoundError."""
            return digests.of(path, os.stat(path))  # noqa: PTH116  # as everywhere here, paths are text

    return ContentChecker
