"""Guests that are built side by side: every line that is printed is whole, and it is plain whose it is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop, new_workshop
from tests.e2e.terminal import on_a_terminal

GUESTS = [f"g{number:02}" for number in range(1, 41)]
FAILING = GUESTS[4::8]
TASKS = [f"swap:{guest}" for guest in GUESTS]
FAILED = [f"swap:{guest}" for guest in FAILING]

# Prints more than a pipe takes at once, in several pieces; fails for some guests.
TALKATIVE = """\
#!/bin/sh
PATH=${PATH#*:}
[ "$1" = --version ] && exec mkswap --version
for image; do :; done
guest=${image%/*}
guest=${guest##*/}
seq -f "said of $guest, which is to be made in a while: %g" 1 150
seq -f "said of $guest, which is to be made in a while: %g" 151 300
printf "said of $guest, " >&2
echo "and more" >&2
case $guest in FAILING) exit 3;; esac
exec mkswap "$@" >/dev/null 2>&1
"""

MODES = [("-n", "4"), ("-n", "4", "-P", "thread")]


def said(guest: str) -> list[str]:
    """What the program says of a guest, as it is in logs."""
    numbered = [f"  said of {guest}, which is to be made in a while: {number}" for number in range(1, 301)]
    return [*numbered, f"  said of {guest}, and more", f"  exit code {3 if guest in FAILING else 0}"]


@pytest.fixture(params=MODES, ids=["processes", "threads"])
def mode(request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Options that have doit run tasks side by side."""
    options: tuple[str, ...] = (*request.param, "--continue")
    return options


@pytest.fixture
def farm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A farm of many guests, with a mkswap that has much to say, and runs for each: they differ in size."""
    stub = tmp_path / "bin/mkswap"
    stub.parent.mkdir()
    stub.write_text(TALKATIVE.replace("FAILING", "|".join(FAILING)))
    stub.chmod(0o755)
    monkeypatch.setenv("PATH", f"{stub.parent}:{os.environ['PATH']}:/usr/sbin:/sbin")
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # with it, each line is written by itself
    defaults = "{master: debian, root: 16M, network: none, host_keys: first-boot}"
    guests = "".join(f"  {guest}: {{swap: {number}M}}\n" for number, guest in enumerate(GUESTS, 1))
    text = f"farm: many\nmasters: {{debian: {{tar: debian.tar}}}}\ndefaults: {defaults}\nguests:\n{guests}"
    return new_workshop(tmp_path, text)


def check_output(lines: list[str], *, tools: bool, live: bool) -> None:
    """Every line is whole, and those of a task are all there, in their order.

    With `tools`, what these print is among them; a `live` display shows tasks when they have ended.
    """
    end = lines.index("failed:")
    shown = [f".  {task}" for task in TASKS if not live or task not in FAILED]
    assert sorted(line for line in lines[:end] if line.startswith(".  ")) == shown
    causes = [f"swap:{guest}: mkswap failed with exit code 3:" for guest in FAILING]
    assert sorted(line[3:] for line in lines[:end] if line.startswith("x  ")) == causes
    assert sorted(line[2:] for line in lines[end:] if line.startswith("  swap:")) == causes
    for guest in GUESTS if tools else []:
        own = [line.removeprefix(f"swap:{guest}: ") for line in lines[:end] if line.startswith(f"swap:{guest}: ")]
        failure = ["mkswap failed with exit code 3:", *said(guest)[:-1][-20:]] if guest in FAILING else []
        assert own[0].startswith("$ mkswap --pagesize 4096 ")
        assert own[1:] == [*said(guest), *failure]
    known = r"\.  swap:g\d\d|x  swap:g\d\d: .*|    said of g\d\d, (and more|which .*)|"
    known += r"|swap:g\d\d: .*" if tools else ""
    known += r"|━.* left|(swap:g\d\d \d:\d\d(, )?)*" if live else ""
    assert [line for line in lines[:end] if not re.fullmatch(known, line)] == []
    summary = f"built {len(GUESTS) - len(FAILING)}, failed {len(FAILING)} in "
    assert next(filter(None, reversed(lines))).startswith(summary)


def check_logs(farm: Workshop) -> None:
    """Each has what concerns its own task, and all of that."""
    for guest in GUESTS:
        log = farm.path(f"logs/swap/{guest}.log").read_text().splitlines()
        assert log[0].startswith("$ mkswap --pagesize 4096 ")
        assert log[1 : len(said(guest)) + 1] == said(guest)
        assert (len(log) > len(said(guest)) + 1) == (guest in FAILING)


@pytest.mark.parametrize("tools", [False, True], ids=["short", "all"])
def test_into_a_pipe(farm: Workshop, mode: tuple[str, ...], tools: bool) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "doit", *mode, *(["-v", "2"] if tools else []), "swap"],
        cwd=farm.folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        pipesize=4096,  # so that it is full most of the time, and what is longer is written in several pieces
        text=True,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout
    check_output(ended.stdout.splitlines(), tools=tools, live=False)
    check_logs(farm)


@pytest.mark.parametrize("tools", [False, True], ids=["short", "all"])
def test_on_a_terminal(farm: Workshop, mode: tuple[str, ...], tools: bool) -> None:
    shown = on_a_terminal(farm, *mode, *(["-v", "2"] if tools else []), "swap")
    assert shown.code == 1, shown.text
    check_output(shown.lines, tools=tools, live=not tools)
    assert shown.has_cursor
    check_logs(farm)
