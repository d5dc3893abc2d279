"""A list that was read before is not read again, unless something has changed that could make a difference."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop
from tests.e2e.reading import doit
from tests.guestlist.test_users import ED25519


def test_a_list_is_read_once(workshop: Workshop) -> None:
    assert doit(workshop).guests
    fresh = doit(workshop, "-r", "console")
    assert not fresh.guests
    assert fresh.lines.count("-- root:deb01") == 1
    for arguments in (
        ["list"],
        ["list", "--all"],
        ["root:deb01"],
        ["config:web*"],
        ["-n", "2"],
        ["forget", "swap:deb01"],
    ):
        assert not doit(workshop, *arguments).guests


def test_what_is_left_out_makes_no_difference(built: Workshop) -> None:
    everything = built.doit("-r", "console").output
    assert (
        built.doit("-r", "console", "master", "kernel", "zero", "format", "populate", "root", "swap", "config").output
        == everything
    )
    assert built.doit("-r", "console", "config:*").output.splitlines() == [
        "-- master:debian",
        "-- kernel:debian",
        *(f"-- config:{guest}" for guest in ("deb01", "deb02", "web01", "web02", "web03")),
    ]
    by_target = built.doit("-r", "console", str(built.path("guests/deb02/swap.img")))
    assert by_target.output == "-- swap:deb02\n"
    assert built.doit("root:deb09", check=False).code == 2


def test_what_is_stale_is_built_without_reading_more_than_that(built: Workshop) -> None:
    built.path("guests/deb02/swap.img").unlink()
    assert built.doit("swap:deb02").executed == ["swap:deb02"]
    built.path("guests/deb02/swap.img").unlink()
    assert built.doit("swap").executed == ["swap:deb02"]


def test_a_task_of_the_user_that_needs_what_was_left_out(built: Workshop) -> None:
    with (built.folder / "dodo.py").open("a") as dodo:
        dodo.write("\n\ndef task_mine():\n    return {'actions': None, 'task_dep': ['swap:deb02']}\n")
    built.doit()
    assert built.doit("root:deb01").executed == []
    assert "-- swap:deb02" in built.doit("-r", "console", "mine").output


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(file.read_bytes()[:-1] + b"\0"),
        lambda file: file.write_bytes(os.urandom(1 << 12)),
        lambda file: file.chmod(0o644),
        lambda file: file.chmod(0o620),
        lambda file: file.unlink(),
        lambda file: (file.rename(file.with_name("there")), file.symlink_to("there")),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: subprocess.run(f"rm {file}; mkfifo {file}", shell=True, check=True),
    ],
    ids=["empty", "short", "damaged", "noise", "readable", "writable", "missing", "symlink", "directory", "fifo"],
)
def test_what_cannot_be_trusted_is_made_anew(built: Workshop, change: Callable[[Path], object]) -> None:
    fresh = built.doit("-r", "console").output
    for file in sorted(built.path("catalogue").iterdir()):
        change(file)
    again = doit(built, "-r", "console")
    assert again.guests
    assert again.lines == fresh.splitlines()


def test_a_list_with_a_mistake_is_never_known(built: Workshop) -> None:
    built.change_list("10.0.0.12/24", "10.0.0.11/24")
    for _ in range(2):
        run = built.doit(check=False)
        assert run.code == 2
        assert "guests.yaml:11:20: guest 'deb02'" in run.output


def test_files_that_the_list_names_are_looked_at_again(workshop: Workshop) -> None:
    keys = workshop.folder / "root.pub"
    keys.write_text(f"{ED25519}\n")
    workshop.change_list("swap: 1M", "users: {root: {keys: root.pub}}")
    workshop.doit()
    assert not doit(workshop).guests
    keys.write_text("no key\n")
    run = workshop.doit(check=False)
    assert run.code == 2
    assert "users.root.keys" in run.output
