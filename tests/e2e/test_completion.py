"""The Tab key, in real shells on a real terminal."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop
from tests.machine import need_programs

SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        "bind 'set bell-style none'; bind 'set show-all-if-ambiguous on'",
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        "autoload -U compinit && compinit -u -d dump; unsetopt beep list_beep; setopt list_ambiguous",
    ),
}

_PASTE = r"(\x1b\[\?2004h)?"
"""What shells may write after their prompt, so that terminals tell what is pasted from what is typed."""


def words(workshop: Workshop, *before: str) -> list[str]:
    return workshop.doit("completion", "words", "--", *(f"+{each}" for each in before)).output.split()


def typed(workshop: Workshop, shell: str, line: str, until: str) -> str:
    """What a terminal shows after `line` was typed in `shell`, as soon as `until` is there.

    Each line is typed when the prompt is there: shells forget what is typed while they start.
    """
    need_programs(shell)
    program, settings = SHELLS[shell]
    ours, its = pty.openpty()
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TERM": "dumb",
        "HOME": str(workshop.folder),
    }
    with subprocess.Popen(
        program, cwd=workshop.folder, env=environment, stdin=its, stdout=its, stderr=its, start_new_session=True
    ) as process:
        os.close(its)
        try:
            _until(ours, rf"\w[#$%] {_PASTE}$")
            os.write(ours, f'{settings}; eval "$(doit completion {shell})"; PS1="rea""dy> "\n'.encode())
            _until(ours, rf"ready> {_PASTE}$")
            os.write(ours, line.encode())
            shown = _until(ours, until)
        finally:
            process.kill()
    os.close(ours)
    return shown


def _until(terminal: int, awaited: str) -> str:
    """What the terminal shows from now on, as soon as that has what is awaited."""
    shown = ""
    while not re.search(awaited, shown):
        shown += os.read(terminal, 65536).decode(errors="replace")
    return shown


@pytest.mark.parametrize("shell", SHELLS)
def test_a_command_and_its_guests(workshop: Workshop, shell: str) -> None:
    assert "deb01" in typed(workshop, shell, "doit statu\tde\t\t", "deb01.*deb02")


@pytest.mark.parametrize("shell", SHELLS)
def test_tasks_that_have_colons(workshop: Workshop, shell: str) -> None:
    assert typed(workshop, shell, "doit root:web\t\t", r"web01[\s\S]*web03")


def test_commands_groups_and_guests(workshop: Workshop) -> None:
    assert {"status", "deploy", "run", "forget", "root", "master"} <= set(words(workshop, ""))
    assert words(workshop, "root:web0") == ["root:web01", "root:web02", "root:web03"]
    assert words(workshop, "status:de") == ["status:deb01", "status:deb02"]
    assert words(workshop, "status", "deb01", "w") == ["web01", "web02", "web03"]
    assert words(workshop, "forget", "config:deb01", "config:deb") == ["config:deb01", "config:deb02"]
    assert words(workshop, "mac", "") == []
    assert words(workshop, "status", "--s") == ["--seek-file", "--stale"]
    assert words(workshop, "help", "stat") == ["status"]
    assert words(workshop, "completion", "") == ["bash", "zsh"]


def test_a_list_with_mistakes_is_no_reason_to_disturb_who_types(workshop: Workshop) -> None:
    workshop.change_list("deb01:", "deb 01:")
    assert words(workshop, "stat") == ["status"]
    assert words(workshop, "status", "d") == []


def test_an_unknown_shell(workshop: Workshop) -> None:
    run = workshop.doit("completion", "fish", check=False)
    assert (run.code, run.output) == (2, "no such shell: 'fish'; known: bash, zsh\n")
