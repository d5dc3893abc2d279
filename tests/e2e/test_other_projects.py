"""In another project of doit's, whatever is installed beside it, doit is doit: the same output, the same exit codes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

DODO = """\
def task_hello():
    \"\"\"says hello\"\"\"
    return {"actions": ["echo hello >hello.txt"], "targets": ["hello.txt"], "clean": True}

def task_fails():
    return {"actions": ["false"]}
"""

# doit as it is where nothing else is installed.
ALONE = """\
import importlib.metadata
import sys
importlib.metadata.entry_points = lambda **_: ()
from doit.__main__ import main
sys.argv[0] = "doit"
sys.exit(main())
"""

COMMANDS = [
    ["hello"],
    ["list"],
    ["list", "--all", "--status"],
    ["info", "hello"],
    ["fails"],
    [],
    ["-n", "2"],
    ["clean"],
    ["forget"],
    ["forget", "nope"],
    ["reset-dep"],
    ["ignore", "hello"],
    ["help", "hello"],
    ["nope"],
    ["list", "--nope"],
    ["-n", "x"],
    ["dumpdb"],
    ["--version"],
    ["clean", "--backend", "json", "hello"],
]


def run(folder: Path, *argv: str) -> tuple[int, str]:
    """The exit code, and the output with the last line alone of a traceback, whose others name files."""
    done = subprocess.run(
        argv,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    output = re.sub(r'"(?:-c|-m|__main__\.py|doit) ', '"doit ', done.stdout)  # the name that it was started by
    before, traceback, after = output.partition("Traceback")
    return done.returncode, before + (after.splitlines()[-1] if traceback else "")


@pytest.mark.parametrize("ours", [["doit"], [sys.executable, "-m", "doit"]], ids=["doit", "python -m doit"])
def test_nothing_changes(tmp_path: Path, ours: list[str]) -> None:
    program = [str(Path(sys.executable).with_name(ours[0]))] if ours == ["doit"] else ours
    folders = [tmp_path / "alone", tmp_path / "beside"]
    for folder in folders:
        folder.mkdir()
        (folder / "dodo.py").write_text(DODO)
    for command in COMMANDS:
        alone = run(folders[0], sys.executable, "-c", ALONE, *command)
        beside = run(folders[1], *program, *command)
        assert (beside[0], sorted(beside[1].splitlines())) == (alone[0], sorted(alone[1].splitlines())), command
        assert [*map(os.path.basename, sorted(folders[1].iterdir()))] == [
            *map(os.path.basename, sorted(folders[0].iterdir()))
        ], command


def test_farms_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "dodo.py").write_text(DODO)
    (tmp_path / "farm.py").write_text("from pipeline.dodo import *\n")
    doit = str(Path(sys.executable).with_name("doit"))
    assert "hello" in run(tmp_path, doit, "list")[1]
    assert run(tmp_path, doit, "list", "-f", "farm.py")[1].startswith("guests.yaml: ")
    assert run(tmp_path, doit, "list", "--file=farm.py")[1].startswith("guests.yaml: ")
    (tmp_path / "below").mkdir()
    assert "hello" in run(tmp_path / "below", doit, "list", "-k")[1]
