"""What a run says while it goes on and at its end, on terminals and elsewhere, and what it leaves in its logs."""

import json
import os
import re

import pytest

from tests.e2e.conftest import Workshop
from tests.e2e.terminal import on_a_terminal
from tests.e2e.test_stale import ALL

_SUMMARY = re.compile(r"built 20 in \d+\.\d s, \d+K written; logs are in build/logs")


def timeline(workshop: Workshop) -> dict[str, str]:
    lines = workshop.path("logs/last-run.jsonl").read_text().splitlines()
    return {line["task"]: line["outcome"] for line in map(json.loads, lines)}


def test_elsewhere_it_is_plain_lines(workshop: Workshop) -> None:
    lines = workshop.doit().output.splitlines()
    assert lines[:-1] == [f".  {name}" for name in ALL]
    assert _SUMMARY.fullmatch(lines[-1])
    assert "\x1b" not in "".join(lines)
    assert workshop.doit().output == "nothing to do: 20 artifacts fresh\n"


def test_on_a_terminal_there_is_a_bar(workshop: Workshop) -> None:
    shown = on_a_terminal(workshop, "-n", "2")
    text = shown.text
    assert "\x1b[" in text
    assert re.search(r"\d+ of 20 ", text)
    assert " left" in text
    for name in ALL:
        assert f".  {name}" in text
    assert _SUMMARY.search(text)
    assert shown.has_cursor
    assert on_a_terminal(workshop).text == "nothing to do: 20 artifacts fresh\r\n"


def test_failures_come_twice_with_the_next_step(built: Workshop) -> None:
    built.path("guests/deb01/swap.img").chmod(0o600)
    built.path("guests/deb02/deb02.cfg").unlink()
    run = built.doit("--continue", check=False)
    assert run.output.count("swap:deb01: ") == 2
    assert run.output.count("have it made anew by: doit forget swap:deb01") == 2
    assert "\nfailed:\n  swap:deb01" in run.output
    assert re.search(r"\nbuilt 1, fresh 18, failed 1 in ", run.output)
    assert run.code == 2


def test_what_depends_on_a_failure_is_not_built(workshop: Workshop) -> None:
    workshop.write_master({"boot/vmlinuz-6.1": None})
    run = workshop.doit("--continue", check=False)
    assert re.search(r"failed 1, not built 5 in ", run.output)
    assert "kernel:debian: master 'debian'" in run.output


def test_a_task_that_runs_programs_has_a_log(workshop: Workshop) -> None:
    workshop.doit("swap:deb01")
    log = workshop.path("logs/swap/deb01.log").read_text()
    assert log.startswith("$ mkswap ")
    assert "Setting up swapspace" in log
    assert log.endswith("  exit code 0\n")
    assert "Setting up swapspace" in workshop.doit("-v", "2", "swap:deb02").output
    assert timeline(workshop) == {"swap:deb02": "built"}


def test_a_failure_is_in_its_log_and_in_the_timeline(workshop: Workshop) -> None:
    workshop.write_master({"boot/vmlinuz-6.1": None})
    run = workshop.doit("kernel:debian", check=False)
    assert workshop.path("logs/kernel/debian.log").read_text().startswith("master 'debian': ")
    assert "its log: build/logs/kernel/debian.log" in run.output
    assert timeline(workshop) == {"master:debian": "built", "kernel:debian": "failed"}


def test_an_error_of_our_own_is_one_line_and_its_traceback_is_in_the_log(workshop: Workshop) -> None:
    dodo = workshop.folder / "dodo.py"
    dodo.write_text(f"from pipeline.image.disk import swap\nswap.build = lambda *_, **__: 1 / 0\n{dodo.read_text()}")
    run = workshop.doit("swap:deb01", check=False)
    assert run.code == 2
    assert (
        "x  swap:deb01: an error of Guestfarm's own: ZeroDivisionError: division by zero; "
        "please report it to those who publish Guestfarm, with its log\n"
    ) in run.output
    assert "Traceback" not in run.output
    assert "Traceback" in workshop.path("logs/swap/deb01.log").read_text()


def test_other_reporters_are_there_for_the_asking(workshop: Workshop) -> None:
    workshop.doit()
    assert workshop.doit("-r", "console", "swap:deb01").output == "-- swap:deb01\n"
    assert workshop.doit("-r", "zero").output == ""


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("-n", "2", "-P", "thread")], ids=["alone", "workers", "threads"])
def test_ctrl_c_ends_it_at_once_and_leaves_the_terminal_in_order(workshop: Workshop, options: tuple[str, ...]) -> None:
    slow = workshop.folder / "bin/mkswap"
    slow.parent.mkdir()
    slow.write_text('#!/bin/sh\n[ "$1" = --version ] && exec echo mkswap 1\necho >running\nexec sleep infinity\n')
    slow.chmod(0o755)
    running = workshop.folder / "running"
    os.mkfifo(running)
    shown = on_a_terminal(
        workshop,
        *options,
        "swap",
        environment={"PATH": f"{slow.parent}:{os.environ['PATH']}"},
        interrupt=running,
    )
    assert shown.code == 130
    # Workers may not have had the time to say what they began.
    assert re.search("interrupted [12] in |built 0 in " if options else "interrupted 1 in ", shown.text)
    assert "what was finished stays finished" in shown.text
    assert options or "\x1b[?25l" in shown.text
    assert shown.has_cursor
