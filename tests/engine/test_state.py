"""doit's state is whole however a run ends."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine.state.state import State

pytestmark = pytest.mark.unit

READ_WHILE_IT_CLOSES = """
import sys, threading
from pipeline.doit_glue.state import State
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
