"""However a run ends, what has a final name is whole, what was finished stays finished, and nothing is left running."""

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests import doit_process, kills
from tests.e2e.conftest import Workshop

KILLS = 24
"""For each way to run."""

SEED = 20


def artifacts(build: Path) -> dict[str, bytes]:
    """What is in `build` under final names."""
    files = [path for folder in ("masters", "bases", "guests") for path in (build / folder).rglob("*")]
    return {
        str(path.relative_to(build)): path.read_bytes()
        for path in files
        if path.is_file() and not path.name.startswith(".")
    }


def drafts(build: Path) -> list[Path]:
    """What killed tasks left behind."""
    return list(build.rglob(".*draft*"))


def finished(build: Path) -> set[str]:
    """The tasks that are on record as done."""
    if not (build / "state.db").exists():
        return set()
    connection = sqlite3.connect(build / "state.db")
    try:
        tables = {name for (name,) in connection.execute("select name from sqlite_master")}
        return {name for (name,) in connection.execute("select name from task")} if "task" in tables else set()
    finally:
        connection.close()


def processes_in(folder: Path) -> list[str]:
    """The processes that work in `folder`, or have a file of it open."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            links = [process / "cwd", *(process / "fd").iterdir()]
            if any(link.readlink().is_relative_to(folder) for link in links):
                found.append(process.name)
        except OSError:
            continue
    return found


@contextmanager
def started(
    workshop: Workshop, *arguments: str, environment: Mapping[str, str] | None = None, stdin: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A doit run in the background."""
    process = subprocess.Popen(
        [sys.executable, "-m", "doit", *arguments],
        cwd=workshop.folder,
        env={**os.environ, **(environment or {})},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("arguments", [(), ("-n", "2")], ids=["one process", "two workers"])
def test_killed_anywhere(workshop: Workshop, arguments: tuple[str, ...]) -> None:
    build = workshop.folder / "build"
    trace = workshop.folder / "trace"
    workshop.change_list("root: 16M", "root: 8M")
    assert doit_process.run(arguments, workshop.folder, os.environ, prepare=partial(kills.trace, trace)).code == 0
    calls = kills.calls(trace)
    assert len(calls) > 100
    whole = artifacts(build)
    chance = random.Random(SEED)
    killed = builds = 0
    while killed < KILLS:
        shutil.rmtree(build)
        builds += 1
        assert builds <= KILLS, "nearly every build is killed once at least"
        code = -signal.SIGKILL
        while code == -signal.SIGKILL:
            done = finished(build)
            kill = partial(kills.kill, chance.choice(calls))
            ended = doit_process.run(arguments, workshop.folder, os.environ, prepare=kill)
            code = ended.code
            killed += code == -signal.SIGKILL
            executed = {line[3:] for line in ended.output.splitlines() if line.startswith(".  ")}
            assert not executed & done, "what was finished is done again"
            there = artifacts(build)
            assert {name for name, contents in there.items() if whole.get(name) != contents} == set()
        assert code == 0, ended.output
        assert artifacts(build) == whole
        assert drafts(build) == []
        assert workshop.doit(*arguments).executed == []
        assert processes_in(workshop.folder) == []


def test_sigterm_ends_like_ctrl_c(workshop: Workshop) -> None:
    with started(workshop) as process:
        assert process.stdout is not None
        next(line for line in process.stdout if line.startswith(".  root:"))
        process.terminate()
        process.stdout.read()
        process.wait()
        assert process.returncode == 128 + signal.SIGTERM
    done = finished(workshop.folder / "build")
    assert done
    assert not set(workshop.doit().executed) & done
    assert drafts(workshop.folder / "build") == []


@pytest.mark.parametrize("arguments", [(), ("list",), ("status",)], ids=["run", "doit's own", "ours"])
def test_ctrl_c_before_there_is_anything_to_do(workshop: Workshop, arguments: tuple[str, ...]) -> None:
    dodo = workshop.folder / "dodo.py"
    dodo.write_text(f"import signal\nsignal.raise_signal(signal.SIGINT)\n{dodo.read_text()}")
    run = workshop.doit(*arguments, check=False)
    assert (run.code, run.output) == (130, "interrupted\n")


def test_a_killed_run_takes_its_tools_along(workshop: Workshop) -> None:
    stubs = workshop.folder / "stubs"
    stubs.mkdir()
    (stubs / "mke2fs").write_text('#!/bin/sh\n[ "$1" = -V ] && echo stub && exit\nexec 3>alive\nexec sleep infinity\n')
    (stubs / "mke2fs").chmod(0o755)
    alive = workshop.folder / "alive"
    os.mkfifo(alive)
    with started(workshop, environment={"PATH": f"{stubs}:{os.environ['PATH']}"}) as process, alive.open() as end:
        process.kill()
        process.communicate()
        assert end.read() == ""  # it is open as long as the tool runs


@pytest.mark.parametrize(
    ("action", "how"),
    [
        ("os._exit(3)", "ended with exit code 3, without a word of what it was doing"),
        ("os.kill(os.getpid(), 9)", "was ended by SIGKILL, perhaps for want of memory"),
    ],
)
def test_a_run_ends_with_a_worker_that_ends(workshop: Workshop, action: str, how: str) -> None:
    with (workshop.folder / "dodo.py").open("a") as dodo:
        dodo.write(f"import os\ndef task_odd():\n    return {{'actions': [lambda: {action}]}}\n")
    ended = workshop.doit("-n", "2", "odd", check=False)
    assert ended.code == 128 + signal.SIGTERM
    assert re.search(rf"^worker process \d+ {how}$", ended.output, re.MULTILINE)
