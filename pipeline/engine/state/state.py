"""doit's state, in SQLite: a task is on record as soon as it is done, and off it as soon as it starts again."""

import json
import shlex
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple, Protocol

from pipeline.engine.run.user_errors import user_errors
from pipeline.engine.state import looking
from pipeline.engine.state import record as records
from pipeline.engine.state.anchors import Anchors
from pipeline.engine.state.lock import BuildLock
from pipeline.engine.state.record import DIGESTS, RECORD, Stamp
from pipeline.errors import GuestfarmError
from pipeline.image.files.private import make_folder
from pipeline.image.files.sparse import NEXT_TO_NOTHING, free_space

_LAST_KEY = "deps:"
"""What doit's Dependency.save_success() sets last."""

_VERSION = 1
"""Of the tables and of what is in them; 0 is what had no number: paths were absolute, and contents had no digests."""

_TABLES = """
    create table if not exists task (name text primary key, record text not null) without rowid;
    create table if not exists begun (name text primary key, known text not null) without rowid;
    create table if not exists run (time integer primary key);
    create table if not exists digest (path text primary key, stamp text not null, digest text not null) without rowid;
    create table if not exists content (path text primary key, stamp text not null, digest text not null, chunks blob);
    create table if not exists fingerprint (name text primary key, fingerprint blob not null) without rowid;
"""

_MILLISECOND, _SECOND = 10**6, 10**9
"""In nanoseconds."""


class Codec(Protocol):
    """How doit turns records into text."""

    def encode(self, data: object) -> str:
        """A record as text."""

    def decode(self, data: str) -> dict[str, Any]:
        """The record that a text holds."""


class Known(NamedTuple):
    """What is known of the targets of a task: those that are as it says may be replaced."""

    targets: dict[str, Stamp]
    """The stamps that they had when they were made."""
    digests: dict[str, str]
    """The digests of their contents."""
    named: dict[str, Stamp]
    """The stamps that they had when the user named the task to have it forgotten."""
    sources: Sequence[Stamp]
    """The stamps of files that the task, when it started, may have given further names."""


class State:
    """A backend of doit's, found by its entry point. Whoever writes has the build folder's lock.

    doit has no place for errors of a backend that are not bugs: they end it, as all errors that the user can mend do.

    Each change is a transaction of its own. In SQLite's WAL mode with synchronous=NORMAL those survive whatever happens
    to this process, and the last of them not always a power failure: then a task runs once more than it would have to.
    What a run publishes is its own nevertheless: it all has one mtime, and that is on the disk before the first task
    starts, by a transaction with synchronous=FULL, the only one of the run. A file with that mtime was published by a
    run that did not end well, and was not written to since.

    A record is read when it is asked for. Whether there is one that says what is so now, its fingerprint tells.
    """

    desc = "SQLite, durable task by task"

    list_folder = Path()
    """Where the guest list is: to be set before there is a State."""

    def __init__(self, name: str, codec: Codec, *, module_name: str | None = None) -> None:
        self.name = name
        self._path = Path(name)
        self.lock = BuildLock(self._path.with_suffix(".lock"))
        self._codec = codec
        self._anchors = anchors(self._path)
        self._connection: sqlite3.Connection | None = None
        self._in_use = RLock()  # with -P thread, a run may end while a thread reads
        self._records: dict[str, dict[str, Any]] = {}
        self._begun: dict[str, str] = {}
        self._fingerprints: dict[str, bytes] = {}
        self._times: set[int] = set()
        self.time: int | None = None
        """The mtime, in nanoseconds since 1970, of what this run publishes; None as long as no task has started."""
        if self._path.exists():
            with user_errors(), readable(self._path):
                self._connection = connect(self._path)
                self._begun = dict(self._connection.execute("select name, known from begun").fetchall())
                self._check_names(self._begun)
                self._times = {time for (time,) in self._connection.execute("select time from run")}

    def get(self, task: str, key: str) -> Any:  # noqa: ANN401  # a record holds whatever JSON can
        """What is on record for `task` under `key`, or None."""
        return self._record(task).get(key)

    def set(self, task: str, key: str, value: object) -> None:
        """Note something for `task`; a finished task's last note puts all of them on record."""
        self._record(task)[key] = value
        if key == _LAST_KEY:
            self._begun.pop(task, None)
            self._change(self._saved(task), ("delete from begun where name = ?", task))
        elif key == "ignore:":
            self._change(self._saved(task))

    def in_(self, task: str) -> bool:
        """Whether anything is on record for `task`."""
        return bool(self._record(task))

    def remove(self, task: str) -> None:
        """Forget `task`, as a failure does: what it made may be replaced as long as it is as it was made."""
        self.forget(task, {})

    def remove_all(self) -> None:
        """Forget every task."""
        for task in self._names("task"):
            self.remove(task)

    def forget(self, task: str, named: dict[str, Stamp]) -> None:
        """Forget `task`; its targets may be replaced as they were made, and also those that have the stamps `named`."""
        known = self._known(task)
        known["named"] = {self._anchors.on_record(path): stamp for path, stamp in named.items()}
        self._begin(task, known)

    def start(self, task: str, folders: Iterable[str], sources: Sequence[Stamp] = ()) -> None:
        """Forget `task`, which is about to replace what it made, by way of drafts in `folders`.

        `sources` are the stamps of the files that it depends on: it may give these further names.
        """
        if self.time is None:
            self._announce()
        known = self._known(task)
        known["folders"] = [self._anchors.on_record(folder) for folder in folders]
        known["sources"] = [*known.get("sources", ()), *sources]
        self._begin(task, known)

    def tasks(self) -> list[str]:
        """Every task that anything is on record for."""
        return sorted({*self._names("task"), *self._begun})

    def record(self, task: str) -> dict[str, Any]:
        """All that is on record for `task`, by key; empty where there is nothing."""
        return dict(self._record(task))

    def discard(self, task: str) -> None:
        """Remove every trace of a task that is no more."""
        self._records[task] = {}
        self._begun.pop(task, None)
        self._change(
            ("delete from task where name = ?", task),
            ("delete from fingerprint where name = ?", task),
            ("delete from begun where name = ?", task),
        )

    def is_begun(self, task: str) -> bool:
        """Whether `task` was forgotten, or started and never finished."""
        return task in self._begun

    def record_before(self, task: str) -> dict[str, Any]:
        """What was on record for `task` before it was forgotten or started; empty if nothing was."""
        return records.read(self._known(task).get("record", {}), self._anchors)

    def known(self, task: str) -> Known:
        """What is known of the targets of `task`, finished or not."""
        known = self._known(task)
        values = records.values_of(records.read(known.get("record", {}), self._anchors))
        named = {self._anchors.path(path): stamp for path, stamp in known.get("named", {}).items()}
        targets = values.get(RECORD, {}).get("targets", {})
        return Known(targets, values.get(DIGESTS, {}), named, known.get("sources", ()))

    def is_unfinished(self, mtime: int) -> bool:
        """Whether what has this mtime, in nanoseconds, was published by a run that did not end well, or has not yet.

        File systems that keep times in seconds cut off the rest.
        """
        return any(mtime in (time, time - time % _SECOND) for time in self._times)

    def note_targets(self, task: str, targets: dict[str, Stamp]) -> None:
        """Put on record that these targets of `task` are as it made them, but have other stamps now."""
        known = self._known(task)
        record = records.read(known["record"], self._anchors)
        values = records.values_of(record)
        ours = {**values[RECORD], "targets": {**values[RECORD]["targets"], **targets}}
        record = records.with_values(record, {**values, RECORD: ours})
        if task in self._begun:
            known["record"] = records.on_record(record, self._anchors)
            self._begin(task, known)
        else:
            self._records[task] = record
            self._change(self._saved(task), ("delete from fingerprint where name = ?", task))

    def drafts(self) -> list[Path]:
        """The folders in which unfinished tasks may have left drafts.

        After a power failure it is not known which have started: then these are all folders of artifacts.
        """
        build = self._path.parent
        found = {self._anchors.path(folder) for task in self._begun for folder in self._known(task).get("folders", ())}
        folders = {folder for folder in map(Path, found) if ".." not in folder.parts and folder.is_relative_to(build)}
        if self._times:
            folders |= {build, *build.glob("guests/*/"), *build.glob("bases/*/"), *build.glob("masters/*/")}
        return sorted(folders)

    def fingerprints(self) -> dict[str, bytes]:
        """What is on record of each task, as a fingerprint; not of all tasks that have a record."""
        return dict(self._rows("select name, fingerprint from fingerprint"))

    def note_fingerprint(self, task: str, fingerprint: bytes) -> None:
        """Note the fingerprint of what is on record of `task`. It can wait: without, the record says the same."""
        self._fingerprints[task] = fingerprint

    def dump(self) -> None:
        """Close the database; everything is in it already, but for some fingerprints."""
        with self._in_use:
            if self.time is not None and not self._begun:
                self._times.clear()
                self._change(("delete from run",))
            if self._fingerprints:
                self._change()
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        self.lock.release()

    def _announce(self) -> None:
        """Put on the disk what mtime all that is published from now on will have.

        It is in the past, for file systems that keep times in seconds: nothing that is written from now on has it too.
        """
        now = time.time_ns() - 2 * _SECOND
        self.time = now - now % _MILLISECOND
        self._times.add(self.time)
        self._change(("insert or ignore into run values (?)", self.time), durable=True)

    def _begin(self, task: str, known: dict[str, Any]) -> None:
        self._records[task] = {}
        self._begun[task] = json.dumps(known)
        self._change(
            ("insert or replace into begun values (?, ?)", task, self._begun[task]),
            ("delete from fingerprint where name = ?", task),
            ("delete from task where name = ?", task),
        )

    def _known(self, task: str) -> dict[str, Any]:
        """What is on record of a task that has begun, or would be if it began now."""
        known: dict[str, Any] = {}
        if task in self._begun:
            with user_errors(), self._record_of(task):
                known = _checked(json.loads(self._begun[task]))
                records.read(known.get("record", {}), self._anchors)
        record = self._record(task)
        if RECORD in records.values_of(record):
            known["record"] = records.on_record(record, self._anchors)
        return known

    def _saved(self, task: str) -> tuple[str, ...]:
        text = self._codec.encode(records.on_record(self._record(task), self._anchors))
        return "insert or replace into task values (?, ?)", task, text

    def _record(self, task: str) -> dict[str, Any]:
        record = self._records.get(task)
        if record is None:
            rows = self._rows("select record from task where name = ?", task)
            with user_errors(), self._record_of(task):
                record = records.read(self._codec.decode(rows[0][0]), self._anchors) if rows else {}
            self._records[task] = record
        return record

    @contextmanager
    def _record_of(self, task: str) -> Iterator[None]:
        """Raise GuestfarmError where what is on record of `task` makes no sense."""
        try:
            yield
        except (ValueError, TypeError, RecursionError) as error:
            raise damaged(self._path, f"the record of {task} makes no sense") from error

    def _names(self, table: str) -> list[str]:
        names = [name for (name,) in self._rows(f"select name from {table}")]  # noqa: S608  # the table is ours
        with user_errors():
            self._check_names(names)
        return names

    def _check_names(self, names: Iterable[object]) -> None:
        if not all(isinstance(name, str) for name in names):
            raise damaged(self._path, "a task has a name that is no text")

    def _rows(self, query: str, *parameters: str) -> list[Any]:
        with self._in_use, user_errors(), readable(self._path):
            return self._connection.execute(query, parameters).fetchall() if self._connection is not None else []

    def _change(self, *statements: tuple[str | int, ...], durable: bool = False) -> None:
        with self._in_use, user_errors(), readable(self._path):
            self.lock.acquire()
            if self._connection is None:
                self._connection = connect(self._path)
            if self._connection.in_transaction:  # one that was interrupted
                self._connection.rollback()
            if durable:
                self._connection.execute("pragma synchronous = full")
            self._connection.execute("begin immediate")
            noted = self._fingerprints.items()
            self._connection.executemany("insert or replace into fingerprint values (?, ?)", noted)
            for statement, *parameters in statements:
                self._connection.execute(str(statement), parameters)
            self._connection.execute("commit")
            if durable:
                self._connection.execute("pragma synchronous = normal")
            self._fingerprints.clear()


def anchors(path: Path) -> Anchors:
    """What paths in the state at `path` are relative to."""
    return Anchors(path.parent, State.list_folder)


def connect(path: Path) -> sqlite3.Connection:
    """Open the state, and make it if need be. Raises GuestfarmError when that is impossible.

    Commands that only look get a copy of it.
    """
    with readable(path):
        if looking.is_on():
            connection = looking.copy_of(path)
        else:
            make_folder(path.parent)
            # doit's runner writes from one thread; which one that is depends on how it runs.
            connection = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        # As long as tables are made, whatever is on the disk already has to wait for them.
        connection.executescript("pragma journal_mode = wal; pragma synchronous = full;")
        version = connection.execute("pragma user_version").fetchone()[0]
        if version > _VERSION:
            raise GuestfarmError(
                f"{path} was written by a later version of Guestfarm (format {version}, and this one knows {_VERSION})",
                f"use that version, or move {shlex.quote(str(path.parent))} away and build again",
            )
        if version < _VERSION:
            _upgrade(connection, path)
        connection.execute("pragma synchronous = normal")
        return connection


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, and put what an earlier version has written into their form."""
    connection.execute("begin immediate")
    for statement in _TABLES.split(";"):
        connection.execute(statement)
    if connection.execute("select 1 from sqlite_master where name = 'restart'").fetchone():
        # What they had made is not known any more, but where they may have left drafts.
        rows = connection.execute("select name, folders from restart").fetchall()
        known = [(name, json.dumps({"folders": folders})) for name, text in rows if (folders := _folders(text))]
        connection.executemany("insert or ignore into begun values (?, ?)", known)
        connection.execute("drop table restart")
    try:
        rows = [(name, json.loads(text)) for name, text in connection.execute("select name, record from task")]
        before = _anchors_before(rows, path)
        upgraded = [
            (json.dumps(records.on_record(records.upgraded(records.read(record, before)), before)), name)
            for name, record in rows
        ]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(path, "a record of an earlier version makes no sense") from error
    connection.executemany("update task set record = ? where name = ?", upgraded)
    connection.execute(f"pragma user_version = {_VERSION}")
    connection.execute("commit")


def _anchors_before(rows: Iterable[tuple[str, Any]], path: Path) -> Anchors:
    """What was where when these records were written: the farm may have been moved since."""
    build, of_list = path.parent, State.list_folder
    for name, record in rows:
        kind, _, master = name.partition(":")
        for target in records.values_of(record).get(RECORD, {}).get("targets", {}) if kind == "master" else ():
            place = Path(target)
            if place.parts[-3:] == ("masters", master, "digest") and place.parents[2] != build:
                return Anchors(place.parents[2], place.parents[3] if of_list == build.parent else of_list)
    return Anchors(build, of_list)


def _folders(text: str) -> list[str]:
    with suppress(ValueError, TypeError, RecursionError):
        found = json.loads(text)
        if isinstance(found, list) and all(isinstance(folder, str) for folder in found):
            return found
    return []


def _checked(known: Any) -> dict[str, Any]:  # noqa: ANN401  # whatever JSON can
    """What is on record of a task that has begun. Raises ValueError if it makes no sense."""
    if not (
        isinstance(known, dict)
        and records.are_stamps(known.get("named", {}))
        and records.are_stamps(dict(enumerate(known.get("sources", ()))))
        and all(isinstance(folder, str) for folder in known.get("folders", ()))
    ):
        raise ValueError("what is known of a task has other parts")
    return known


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
        # That is what SQLite has no name for, as tables of another program, and what is no text.
        if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR:
            raise damaged(path, str(error)) from error
        # SQLite does not always say what it cannot write for.
        full = free_space(path.parent) < NEXT_TO_NOTHING
        raise GuestfarmError(f"{path}: the disk is full" if full else f"{path}: {error}") from error
    except sqlite3.DatabaseError as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, what: str) -> GuestfarmError:
    """The error that the state at `path` is damaged."""
    return GuestfarmError(f"{path} is damaged: {what}", f"move {shlex.quote(str(path.parent))} away, and build anew")
