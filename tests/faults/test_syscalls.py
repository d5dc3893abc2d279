"""What the tests of faults stand on: calls are counted over all processes, and answered as a test wants."""

import errno
import signal
import sys
from pathlib import Path

import pytest

from tests.faults import syscalls
from tests.faults.moments import Moment, by_chance
from tests.faults.power import mounts_of_its_own
from tests.faults.syscalls import Answer, Ended, Meet
from tests.machine import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    below = tmp_path / "below"
    below.mkdir()
    return below


def started(folder: Path, script: str, meet: Meet = lambda _: Answer.GO_ON) -> Ended:
    """A shell that runs `script` in `folder`."""
    argv = ["/bin/sh", "-c", script]
    return syscalls.run(argv, folder=folder, environment={}, below=folder, meet=meet)


def python(folder: Path, script: str, meet: Meet) -> Ended:
    return syscalls.run([sys.executable, "-c", script], folder=folder, environment={}, below=folder, meet=meet)


def test_calls_of_all_processes_are_counted(folder: Path) -> None:
    seen: list[str] = []

    def meet(call: syscalls.Call) -> Answer:
        seen.append(f"{call.number} {call}")
        return Answer.GO_ON

    script = "echo a >f; env -i setsid sh -c 'mkdir d; mv f d/g'; echo b >../elsewhere; cat <d/g; rm d/g"
    ended = started(folder, script, meet)
    assert (ended.code, ended.output) == (0, "a\n")
    assert seen == ["1 openat f", "2 write f", "3 mkdir d", "4 renameat2 d/g", "5 unlinkat d/g"]
    assert ended.calls == len(seen)


def test_a_call_that_fails(folder: Path) -> None:
    ended = started(folder, "echo a >f && echo b >g", Moment(4, errno.EIO).meet)
    assert "I/O error" in ended.output
    assert (folder / "f").read_text() == "a\n"
    assert (folder / "g").read_text() == ""


@pytest.mark.parametrize("write", ["os.write(f, data)", "os.pwrite(f, data, 0)", "os.sendfile(f, g, 0, 10)"])
def test_a_write_that_is_cut_short(write: str, folder: Path) -> None:
    source = folder.with_name("source")
    source.write_text("0123456789")
    script = (
        "import os; data = b'0123456789'; f = os.open('f', os.O_WRONLY | os.O_CREAT)\n"
        f"g = os.open({str(source)!r}, os.O_RDONLY)\nprint({write}); os.write(f, b'!')"
    )
    ended = python(folder, script, Moment(2, Answer.CUT_SHORT).meet)
    assert ended.output == "5\n"
    assert (folder / "f").read_text() == ("!1234" if "pwrite" in write else "01234!")


def test_kill_9_of_the_run(folder: Path) -> None:
    ended = started(folder, "echo a >f; sh -c 'echo b >g'; echo c >h", Moment(4, Answer.KILL).meet)
    assert ended.code == -signal.SIGKILL
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"f": "a\n", "g": ""}


def test_kill_9_of_the_caller(folder: Path) -> None:
    script = "touch f; sh -c 'echo b >g; echo c >g' || echo $? >h"
    ended = started(folder, script, Moment(5, Answer.KILL_CALLER).meet)
    assert ended.code == 0
    assert (folder / "h").read_text() == "137\n"


def test_a_thread_of_the_run_is_killed(folder: Path) -> None:
    script = "import os, threading; t = threading.Thread(target=lambda: os.mkdir('d')); t.start(); t.join()"
    ended = python(folder, script, Moment(1, Answer.KILL_CALLER).meet)
    assert ended.code == -signal.SIGKILL
    assert not (folder / "d").exists()


def test_moments_are_spread_and_the_same_each_time() -> None:
    moments = by_chance(1, 1000, 50)
    assert moments == by_chance(1, 1000, 50) != by_chance(2, 1000, 50)
    assert len(moments) == 50
    assert all(20 * index < moment <= 20 * (index + 1) for index, moment in enumerate(moments))
    assert by_chance(1, 3, 10) == [1, 2, 3]


def test_mounts_are_gone_after_the_block(tmp_path: Path) -> None:
    point = tmp_path / "point"
    point.mkdir()
    here = Path.cwd()
    with mounts_of_its_own():
        run("mount", "-t", "tmpfs", "none", point)
        (point / "file").touch()
    assert not (point / "file").exists()
    assert Path.cwd() == here
