"""doit's own commands, and what all commands have in common: how they end when nobody reads what they print."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import TINY_LIST, Workshop, new_workshop

COMMANDS = [
    *("run -a -r console", "-a -n 2 -v 2 swap", "list --all", "info root:deb01", "forget", "dumpdb"),
    *("help", "help list", "tabcompletion", "status", "mac", "completion words -- +", "cat deb01 /etc/hostname"),
]


def ended(workshop: Workshop, command: str, output: int, **variables: str) -> tuple[int, str]:
    """The exit code of `doit command`, and what it prints on the standard error."""
    argv = [sys.executable, "-m", "doit", *command.split()]
    environment = {**os.environ, "PYTHONUNBUFFERED": "", **variables}
    completed = subprocess.run(
        argv, cwd=workshop.folder, env=environment, stdout=output, stderr=subprocess.PIPE, text=True, check=False
    )
    lines = completed.stderr.splitlines(keepends=True)
    return completed.returncode, "".join(line for line in lines if not line.startswith("cat: reading "))


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A tiny farm, built."""
    workshop = new_workshop(tmp_path_factory.mktemp("farm"))
    workshop.doit()
    return workshop


@pytest.fixture
def unread() -> Iterator[int]:
    """A pipe that nobody reads."""
    ours, its = os.pipe()
    os.close(ours)
    yield its
    os.close(its)


@pytest.fixture
def full() -> Iterator[int]:
    """A file on a full disk."""
    with Path("/dev/full").open("w") as file:
        yield file.fileno()


@pytest.mark.parametrize("command", COMMANDS)
def test_ends_quietly_when_nobody_reads_on(farm: Workshop, unread: int, command: str) -> None:
    assert ended(farm, command, unread) == (141, "")


@pytest.mark.parametrize("command", ["run -a -r console", "-a -n 2 -v 2 swap", "list", "status", "mac"])
def test_says_when_there_is_no_room_for_its_output(farm: Workshop, full: int, command: str) -> None:
    assert ended(farm, command, full) == (2, "the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("command", ["status"])
def test_the_same_without_buffers(farm: Workshop, unread: int, full: int, command: str) -> None:
    assert ended(farm, command, unread, PYTHONUNBUFFERED="1") == (141, "")
    assert ended(farm, command, full, PYTHONUNBUFFERED="1")[0] == 2


@pytest.mark.parametrize("command", ["list --all", "status"])
def test_the_first_line_is_enough(tmp_path: Path, command: str) -> None:
    many = TINY_LIST.replace('web[01:03]: {address: "10.0.0.[21:23]/24"}', "web[0001:3000]: {network: none}")
    workshop = new_workshop(tmp_path, many)
    argv = [sys.executable, "-m", "doit", *command.split()]
    with subprocess.Popen(
        argv, cwd=workshop.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_output_that_is_closed_is_no_output(farm: Workshop) -> None:
    argv = ["sh", "-c", f"{sys.executable} -m doit status >&-"]
    completed = subprocess.run(argv, cwd=farm.folder, stderr=subprocess.PIPE, text=True, check=False)
    assert (completed.returncode, completed.stderr) == (2, "the output cannot be written: it is closed\n")


def test_what_is_on_record_can_be_dumped(farm: Workshop) -> None:
    output = farm.doit("dumpdb").output
    assert "swap:web03 -> {" in output
    assert str(farm.path("guests/web03/swap.img")) in output


def test_what_has_no_shell_commands_cannot_be_traced(farm: Workshop) -> None:
    run = farm.doit("strace", "swap:deb01", check=False)
    assert (run.code, run.output) == (
        2,
        "doit strace: swap:deb01 has no shell commands to trace; its log has what it runs\n",
    )


def test_forget_without_arguments_forgets_what_doit_without_arguments_runs(built: Workshop) -> None:
    assert built.doit().executed == []
    output = built.doit("forget").output.splitlines()
    assert output[:2] == ["forgetting master", "forgetting master:debian"]
    assert set(built.doit().executed) == {line.removeprefix("forgetting ") for line in output if ":" in line}


def test_forget_as_it_always_was(built: Workshop) -> None:
    assert built.doit("forget", "swap:deb01").output == "forgetting swap:deb01\n"
    assert built.doit().executed == ["swap:deb01"]
    nothing = built.doit("forget", "--disable-default", check=False)
    assert (nothing.code, nothing.output.partition(";")[0]) == (2, "no tasks specified")
    assert built.doit().executed == []
    assert built.doit("forget", "swap:deb09", check=False).code == 2
