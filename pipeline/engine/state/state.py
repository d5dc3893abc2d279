"""doit's state, in SQLite: a task is on record as soon as it is done, and off it as soon as it starts again."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from threading import RLock
from typing import Any, Protocol

from pipeline.engine import looking
from pipeline.engine.run.user_errors import user_errors
from pipeline.engine.state.lock import BuildLock
from pipeline.errors import GuestfarmError
from pipeline.image.files.sparse import NEXT_TO_NOTHING, free_space

_LAST_KEY = "deps:"
"""What doit's Dependency.save_success() sets last."""

_TABLES = """
    create table if not exists task (name text primary key, record text not null) without rowid;
    create table if not exists restart (name text primary key, folders text not null) without rowid;
    create table if not exists digest (path text primary key, stamp text not null, digest text not null) without rowid;
    create table if not exists fingerprint (name text primary key, fingerprint blob not null) without rowid;
"""


class Codec(Protocol):
    """How doit turns records into text."""

    def encode(self, data: object) -> str:
        """A record as text."""

    def decode(self, data: str) -> dict[str, Any]:
        """The record that a text holds."""


class State:
    """A backend of doit's, found by its entry point. Whoever writes has the build folder's lock.

    doit has no place for errors of a backend that are not bugs: they end it, as all errors that the user can mend do.

    Each change is a transaction of its own. In SQLite's WAL mode with synchronous=NORMAL those survive whatever happens
    to this process, and the last of them not always a power failure: then a task runs once more than it would have to.

    A record is read when it is asked for. Whether there is one that says what is so now, its fingerprint tells.
    """

    desc = "SQLite, durable task by task"

    def __init__(self, name: str, codec: Codec, *, module_name: str | None = None) -> None:
        self.name = name
        self._path = Path(name)
        self.lock = BuildLock(self._path.with_suffix(".lock"))
        self._codec = codec
        self._connection: sqlite3.Connection | None = None
        self._in_use = RLock()  # with -P thread, a run may end while a thread reads
        self._records: dict[str, dict[str, Any]] = {}
        self._restarts: dict[str, list[str]] = {}
        self._fingerprints: dict[str, bytes] = {}
        if self._path.exists():
            with user_errors(), readable(self._path):
                self._connection = connect(self._path)
                rows = self._connection.execute("select name, folders from restart").fetchall()
                self._restarts = {task: json.loads(folders) for task, folders in rows}

    def get(self, task: str, key: str) -> Any:  # noqa: ANN401  # a record holds whatever JSON can
        """What is on record for `task` under `key`, or None."""
        return self._record(task).get(key)

    def set(self, task: str, key: str, value: object) -> None:
        """Note something for `task`; a finished task's last note puts all of them on record."""
        self._record(task)[key] = value
        if key in (_LAST_KEY, "ignore:"):
            self._restarts.pop(task, None)
            self._change(
                ("insert or replace into task values (?, ?)", task, self._codec.encode(self._record(task))),
                ("delete from fingerprint where name = ?", task),
                ("delete from restart where name = ?", task),
            )

    def in_(self, task: str) -> bool:
        """Whether anything is on record for `task`."""
        return bool(self._record(task))

    def remove(self, task: str) -> None:
        """Forget `task`, as `doit forget` or a failure does: what it made may be replaced."""
        self.start(task, self._restarts.get(task, ()))

    def remove_all(self) -> None:
        """Forget every task."""
        for task in self._names("task"):
            self.remove(task)

    def start(self, task: str, folders: Iterable[str]) -> None:
        """Forget `task`, which is about to replace what it made, by way of drafts in `folders`."""
        self._records[task] = {}
        self._restarts[task] = [*folders]
        self._change(
            ("insert or replace into restart values (?, ?)", task, json.dumps(self._restarts[task])),
            ("delete from fingerprint where name = ?", task),
            ("delete from task where name = ?", task),
        )

    def tasks(self) -> list[str]:
        """Every task that anything is on record for."""
        return sorted({*self._names("task"), *self._restarts})

    def record(self, task: str) -> dict[str, Any]:
        """All that is on record for `task`, by key; empty where there is nothing."""
        return dict(self._record(task))

    def discard(self, task: str) -> None:
        """Remove every trace of a task that is no more."""
        self._records[task] = {}
        self._restarts.pop(task, None)
        self._change(
            ("delete from task where name = ?", task),
            ("delete from fingerprint where name = ?", task),
            ("delete from restart where name = ?", task),
        )

    def may_replace(self, task: str) -> bool:
        """Whether `task` was forgotten, or started and never finished: its targets are its own in whatever state."""
        return task in self._restarts

    def drafts(self) -> list[Path]:
        """The folders in which unfinished tasks may have left drafts."""
        return [Path(folder) for folder in sorted({*chain(*self._restarts.values())})]

    def fingerprints(self) -> dict[str, bytes]:
        """What is on record of each task, as a fingerprint; not of all tasks that have a record."""
        return dict(self._rows("select name, fingerprint from fingerprint"))

    def note_fingerprint(self, task: str, fingerprint: bytes) -> None:
        """Note the fingerprint of what is on record of `task`. It can wait: without, the record says the same."""
        self._fingerprints[task] = fingerprint

    def dump(self) -> None:
        """Close the database; everything is in it already, but for some fingerprints."""
        with self._in_use:
            if self._fingerprints:
                self._change()
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        self.lock.release()

    def _record(self, task: str) -> dict[str, Any]:
        record = self._records.get(task)
        if record is None:
            rows = self._rows("select record from task where name = ?", task)
            record = self._records[task] = self._codec.decode(rows[0][0]) if rows else {}
        return record

    def _names(self, table: str) -> list[str]:
        return [name for (name,) in self._rows(f"select name from {table}")]  # noqa: S608  # the table is ours

    def _rows(self, query: str, *parameters: str) -> list[Any]:
        with self._in_use, user_errors(), readable(self._path):
            return self._connection.execute(query, parameters).fetchall() if self._connection is not None else []

    def _change(self, *statements: tuple[str, ...]) -> None:
        with self._in_use, user_errors(), readable(self._path):
            self.lock.acquire()
            if self._connection is None:
                self._connection = connect(self._path)
            if self._connection.in_transaction:  # one that was interrupted
                self._connection.rollback()
            self._connection.execute("begin immediate")
            noted = self._fingerprints.items()
            self._connection.executemany("insert or replace into fingerprint values (?, ?)", noted)
            for statement, *parameters in statements:
                self._connection.execute(statement, parameters)
            self._connection.execute("commit")
            self._fingerprints.clear()


def connect(path: Path) -> sqlite3.Connection:
    """Open the state, and make it if need be. Raises GuestfarmError when that is impossible.

    Commands that only look get a copy of it.
    """
    with readable(path):
        if looking.is_on():
            connection = looking.copy_of(path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            # doit's runner writes from one thread; which one that is depends on how it runs.
            connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        connection.executescript(f"pragma journal_mode = wal; pragma synchronous = normal; {_TABLES}")
        return connection


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The state for a while. Raises GuestfarmError."""
    connection = connect(path)
    try:
        with readable(path):
            yield connection
    finally:
        connection.close()


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise GuestfarmError for SQLite's errors in the block."""
    try:
        yield
    except sqlite3.OperationalError as error:
        # SQLite does not always say what it cannot write for.
        full = free_space(path.parent) < NEXT_TO_NOTHING
        raise GuestfarmError(f"{path}: the disk is full" if full else f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise GuestfarmError(f"{path} is damaged: {error}", f"move {path.parent} away, and build anew") from error
