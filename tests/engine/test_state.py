"""doit's state is whole however a run ends."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.state.digests import Digests
from pipeline.engine.state.state import State
from pipeline.image.files import digest

pytestmark = pytest.mark.unit

READ_WHILE_IT_CLOSES = """
import sys, threading
from pipeline.engine.state.state import State
for _ in range(100):
    state = State(sys.argv[1], None)
    reading = threading.Event()
    def read():
        for number in range(1000):
            state.record(f"task {number}")
            reading.set()
    thread = threading.Thread(target=read)
    thread.start()
    reading.wait()
    state.dump()
    thread.join()
"""


class Interrupted(bytes):
    """What cannot be written before Ctrl-C comes."""

    def __conform__(self, _protocol: object) -> object:
        """What SQLite asks for what it is to write, see sqlite3.PrepareProtocol."""
        raise KeyboardInterrupt


class Codec:
    """Records as JSON."""

    def encode(self, data: object) -> str:
        """A record as text."""
        return json.dumps(data)

    def decode(self, data: str) -> dict[str, Any]:
        """The record that a text holds."""
        record: dict[str, Any] = json.loads(data)
        return record


def test_a_change_that_was_interrupted_is_undone(tmp_path: Path) -> None:
    state = State(str(tmp_path / "state.db"), Codec())
    state.start("first", [])
    state.note_fingerprint("first", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        state.start("second", [])
    state.note_fingerprint("first", b"seen")
    state.dump()
    after = State(state.name, Codec())
    assert after.tasks() == ["first"]
    assert after.fingerprints() == {"first": b"seen"}
    after.dump()


def test_it_closes_while_a_thread_reads(tmp_path: Path) -> None:
    state = State(str(tmp_path / "state.db"), Codec())
    state.start("task 1", [])
    state.dump()
    subprocess.run([sys.executable, "-c", READ_WHILE_IT_CLOSES, state.name], check=True)


def put(path: Path, *statements: str) -> None:
    """Run SQL on a state, as whoever else writes to it."""
    connection = sqlite3.connect(path)
    connection.executescript(";".join(statements))
    connection.close()


GOOD = json.dumps({"_values_:": {"artifact": {"inputs": {}, "targets": {"{build}/a": [1, 2, 3, 0]}}}, "deps:": []})

ODD_RECORDS = [
    *("", "{", "[]", "1", "null", '"text"', "[" * 100000, '{"deps:": 1}', '{"deps:": [1]}', '{"a": 1}'),
    *('{"_values_:": []}', '{"_values_:": {"artifact": 1}}', '{"_values_:": {"artifact": {"inputs": {}}}}'),
    *(GOOD.replace("[1, 2, 3, 0]", stamp) for stamp in ("[1]", "null", '["a", 2, 3, 4]')),
    GOOD.replace('"deps:"', '"x": null, "deps:"'),
    GOOD.replace('"artifact"', '"digests": {"{build}/a": 1}, "artifact"'),
    GOOD.replace('"artifact"', '"digests": [], "artifact"'),
]

ODD_KNOWN = [
    *("", "[]", "1", "null", '{"record": 1}', '{"named": [1]}', '{"named": {"a": 1}}', '{"sources": [1]}'),
    *('{"sources": 1}', '{"folders": 1}', '{"folders": [1]}', '{"record": {"deps:": 1}}'),
]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state with a good record."""
    path = tmp_path / "state.db"
    state = State(str(path), Codec())
    state.start("first", [])
    state.dump()
    put(path, f"insert into task values ('good', '{GOOD}')")
    return path


def refused(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    """All that may be asked of a state is refused in a line, or answered."""

    def ask() -> None:
        opened = State(str(path), Codec())
        for task in opened.tasks():
            opened.known(task)
            opened.record(task)
        opened.drafts()

    with pytest.raises(SystemExit) as ended:
        ask()
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"{path} is damaged: ")
    assert f"move {path.parent} away" in line


@pytest.mark.parametrize("record", ODD_RECORDS, ids=range(len(ODD_RECORDS)))
def test_an_odd_record_is_a_line(capsys: pytest.CaptureFixture[str], state: Path, record: str) -> None:
    put(state, f"insert into task values ('odd', '{record}')")
    refused(capsys, state)


@pytest.mark.parametrize("known", ODD_KNOWN)
def test_an_odd_row_of_what_has_begun_is_a_line(capsys: pytest.CaptureFixture[str], state: Path, known: str) -> None:
    put(state, f"insert into begun values ('odd', '{known}')")
    refused(capsys, state)


@pytest.mark.parametrize(
    "statement",
    [
        "insert into task values (x'ff', '{}')",
        "insert into task values ('odd', x'ff')",
        "insert into begun values (x'ff', '{}')",
        "insert into begun values ('odd', x'ff')",
        "insert into begun values (cast(x'ff' as text), '{}')",
        "drop table begun; create table begun (name)",
        "drop table task; create table task (id)",
        "drop table run",
        "pragma user_version = 0; drop table task; create table task (id)",
        "pragma user_version = 0; insert into task values ('master:m', '{')",
        "pragma user_version = 0; insert into task values ('master:m', '[1]')",
        "pragma user_version = 0; insert into task values (1.5, x'00')",
    ],
)
def test_odd_tables_are_a_line(capsys: pytest.CaptureFixture[str], state: Path, statement: str) -> None:
    put(state, statement)
    refused(capsys, state)


@pytest.mark.parametrize("size", [99, 4095, 4096, 8192])
def test_a_state_that_was_cut_off_is_a_line(capsys: pytest.CaptureFixture[str], state: Path, size: int) -> None:
    os.truncate(state, size)
    refused(capsys, state)


def test_odd_rows_of_what_is_only_remembered_do_no_harm(state: Path) -> None:
    put(
        state,
        "insert into digest values (1.5, x'00', x'ff')",
        "insert into digest values ('odd', 1, 2)",
        "insert into content values ('{build}/a', 1, 2, 3)",
        "insert into fingerprint values (1, 'text')",
    )
    file = state.with_name("a")
    file.write_bytes(b"contents")
    digests = Digests(state)
    assert digests.content(file) == digests.chunks(file).digest()
    assert digests.of(str(file), file.stat()) == digest.of_file(file)


def test_a_later_version_is_a_line(capsys: pytest.CaptureFixture[str], state: Path) -> None:
    put(state, "pragma user_version = 99")
    with pytest.raises(SystemExit) as ended:
        State(str(state), Codec())
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "written by a later version of Guestfarm" in line


def test_drafts_are_looked_for_where_we_build(state: Path) -> None:
    folders = ["/etc", "{build}/../other", "{build}/guests/a", f"{state.parent}x/b"]
    put(state, f"""insert into begun values ('odd', '{json.dumps({"folders": folders})}')""")
    found = State(str(state), Codec()).drafts()
    assert state.parent / "guests/a" in found
    assert all(folder.is_relative_to(state.parent) and ".." not in folder.parts for folder in found)


def test_what_the_run_publishes_is_known_before_it_does(tmp_path: Path) -> None:
    """Seen by another process, and by one that comes after a power failure: the commit was synced."""
    state = State(str(tmp_path / "new/state.db"), Codec())
    assert state.time is None
    state.start("first", [])
    assert state.time is not None
    other = State(state.name, Codec())
    for kept in (state.time, state.time - state.time % 10**9):
        assert other.is_unfinished(kept)
    assert not other.is_unfinished(state.time + 1)
    other.dump()
    state.set("first", "deps:", [])
    state.dump()
    assert not State(state.name, Codec()).is_unfinished(state.time), "all that was begun is finished"
