"""doit's own commands, and what all commands have in common: how they end when nobody reads what they print."""

import os
import subprocess
import sys

import pytest

from tests.pipeline.conftest import Workshop

COMMANDS = ["run -a -r console", "status", "list --all", "forget"]


@pytest.mark.parametrize("command", COMMANDS)
def test_ends_quietly_when_nobody_reads_on(built: Workshop, command: str) -> None:
    ours, its = os.pipe()
    os.close(ours)
    argv = [sys.executable, "-m", "doit", *command.split()]
    try:
        ended = subprocess.run(argv, cwd=built.folder, stdout=its, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(its)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_forget_without_arguments_forgets_what_doit_without_arguments_runs(built: Workshop) -> None:
    assert built.doit().executed == []
    output = built.doit("forget").output.splitlines()
    assert output[:2] == ["forgetting master", "forgetting master:debian"]
    assert set(built.doit().executed) == {line.removeprefix("forgetting ") for line in output if ":" in line}


def test_forget_as_it_always_was(built: Workshop) -> None:
    assert built.doit("forget", "swap:deb01").output == "forgetting swap:deb01\n"
    assert built.doit().executed == ["swap:deb01"]
    assert built.doit("forget", "--disable-default").output.startswith("no tasks specified")
    assert built.doit().executed == []
    assert built.doit("forget", "swap:deb09", check=False).code == 3
