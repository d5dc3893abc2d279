"""One run at a time in a build folder; looking is always possible."""

import fcntl
import os
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import Workshop


@pytest.fixture
def locked(built: Workshop) -> Iterator[Workshop]:
    """A farm in whose build folder another process, this one, is at work."""
    with built.path("state.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(str(os.getpid()))
        lock.truncate()
        lock.flush()
        yield built


@pytest.mark.parametrize("arguments", [[], ["-n", "2"], ["root:deb01"], ["forget", "root:deb01"], ["forget", "--all"]])
def test_who_would_write_is_refused(locked: Workshop, arguments: list[str]) -> None:
    before = locked.path("state.db").read_bytes()
    run = locked.doit(*arguments, check=False)
    assert run.code == 2
    message = f"process {os.getpid()} is building here already; wait until it has ended"
    assert [line for line in run.output.splitlines() if message in line]
    assert "Traceback" not in run.output
    assert locked.path("state.db").read_bytes() == before


@pytest.mark.parametrize(
    "arguments", [["list", "--all", "--status"], ["info", "root:deb01"], ["mac"], ["prune"], ["help", "run"]]
)
def test_who_only_looks_is_not(locked: Workshop, arguments: list[str]) -> None:
    assert locked.doit(*arguments).code == 0


def test_the_lock_goes_with_its_holder(built: Workshop) -> None:
    built.path("state.lock").write_text("1")
    assert built.doit().executed == []


def test_other_folders_are_free(locked: Workshop) -> None:
    assert locked.doit("build=elsewhere").code == 0
