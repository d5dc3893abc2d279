"""Inputs that change while they are read are never taken for what was built from them."""

import os
import sys
from functools import partial
from pathlib import Path

import pytest

from tests import doit_process
from tests.e2e.conftest import Workshop, write_tar


def stub(workshop: Workshop, program: str, command: str) -> dict[str, str]:
    """The environment in which `program` runs a shell command before it does what it always does."""
    folder = workshop.folder / "stubs"
    folder.mkdir()
    script = folder / program
    script.write_text(f'#!/bin/sh\n[ "$1" = -V ] || {command}\nexec /usr/sbin/{program} "$@"\n')
    script.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_a_tar_that_changes_after_it_was_digested(workshop: Workshop) -> None:
    write_tar(workshop.folder / "other.tar", {"etc": None, "etc/motd": b"changed meanwhile\n"})
    environment = stub(workshop, "mke2fs", f"cp {workshop.folder}/other.tar {workshop.folder}/debian.tar")
    run = workshop.doit("populate:*", check=False, environment=environment)
    assert run.code == 1
    assert "the master changed while it was read; run doit again" in run.output
    assert not workshop.path("bases/debian-ext4-16M/root.img").exists()
    run = workshop.doit("populate:*")
    assert run.executed == ["master:debian", "populate:debian-ext4-16M"]


def test_a_file_that_a_task_depends_on_changes_while_it_runs(workshop: Workshop) -> None:
    digest = workshop.path("masters/debian/digest")
    environment = stub(workshop, "e2fsck", f"touch {digest}")
    run = workshop.doit("populate:*", check=False, environment=environment)
    assert run.code == 1
    assert f"{digest} changed while it was read; run doit again" in run.output


def test_a_folder_that_changes_while_it_is_read(workshop: Workshop) -> None:
    folder = workshop.folder / "rootfs"
    (folder / "etc").mkdir(parents=True)
    for number in range(2000):
        (folder / "etc" / f"{number:04}").write_bytes(bytes(4096))
    workshop.change_list("tar: debian.tar", "directory: rootfs")
    last = folder / "etc/1999"
    change = partial(change_when_opened, last)
    run = doit_process.run(["master:*"], workshop.folder, os.environ, prepare=change)
    assert run.code == 1
    assert f"{last} changed while it was read" in run.output


KINDS = """\
    farm: kinds
    masters:
      tar: {tar: fifo}
      image: {image: zero}
      cloud: {cloud: fifo}
      oci: {oci: fifo}
      directory: {directory: zero}
      bootstrap: {bootstrap: {suite: bookworm, keyring: fifo}}
    roles:
      tree: {tree: tree}
      file: {tree: fifo}
    defaults: {master: tar, root: 16M, network: none, host_keys: first-boot}
    guests:
      a: {users: {root: {keys: fifo}}, files: {/a: {source: zero}, /b: {template: fifo}, /c: {source: maps}}}
"""


def test_what_is_no_file_is_not_waited_for(workshop: Workshop) -> None:
    os.mkfifo(workshop.folder / "fifo")
    (workshop.folder / "zero").symlink_to("/dev/zero")
    (workshop.folder / "maps").symlink_to("/proc/self/maps")
    (workshop.folder / "tree").mkdir()
    os.mkfifo(workshop.folder / "tree/fifo")
    workshop.write_list(KINDS)
    run = workshop.doit(check=False)
    assert run.code == 2
    told = [line.partition(": ")[2].partition(";")[0] for line in run.output.splitlines()]
    assert told == [
        "master 'tar': tar: 'fifo' is not a file",
        "master 'image': image: 'zero' is not a file",
        "master 'cloud': cloud: 'fifo' is not a file",
        "master 'oci': oci.folder: 'fifo' is not a folder",
        "master 'directory': directory: 'zero' is not a folder",
        "master 'bootstrap': bootstrap.keyring: 'fifo' is not a file",
        f"role 'tree': tree: {workshop.folder}/tree/fifo is no file, folder or symlink",
        "role 'file': tree: 'fifo' cannot be read: Not a directory",
        "guest 'a': users.root.keys: 'fifo' cannot be read: it is a FIFO, not a regular file",
        "guest 'a': files.'/a'.source: 'zero' cannot be read: it is a device, not a regular file",
        "guest 'a': files.'/b'.template: 'fifo' cannot be read: it is a FIFO, not a regular file",
        "guest 'a': files.'/c'.source: 'maps' cannot be read: it is a file of the kernel's, not one on a disk",
    ]


@pytest.mark.parametrize("name", ["fifo", "/dev/zero", "/dev/stdin"])
def test_a_list_that_is_no_file(workshop: Workshop, name: str) -> None:
    os.mkfifo(workshop.folder / "fifo")
    run = workshop.doit("list", f"guests={name}", check=False)
    assert run.code == 2
    assert "cannot be read: it is a " in run.output
    assert len(run.output.splitlines()) == 1


def test_a_master_that_is_no_file_any_more(workshop: Workshop) -> None:
    """What was read once is looked at again, and so is the list, since something is to be built."""
    workshop.doit("populate:*")
    tar = workshop.folder / "debian.tar"
    tar.unlink()
    os.mkfifo(tar)
    run = workshop.doit("populate:*", check=False)
    message = "master 'debian': tar: 'debian.tar' is not a file; paths are relative to the folder of the list"
    assert (run.code, run.output) == (2, f"guests.yaml:2:25: {message}\n")


def test_a_master_that_becomes_a_fifo_after_the_list_was_read(workshop: Workshop) -> None:
    tar = workshop.folder / "debian.tar"
    run = workshop.doit(
        "populate:*", check=False, environment=stub(workshop, "mke2fs", f"{{ rm {tar}; mkfifo {tar}; }}")
    )
    assert run.code == 1
    assert f"{tar}: it is a FIFO, not a regular file" in run.output
    assert "Traceback" not in run.output


def change_when_opened(path: Path) -> None:
    """Have the file `path` change whenever this process opens it, as it may while somebody else writes to it."""

    def changing(event: str, arguments: tuple[object, ...]) -> None:
        # It may be opened by its path, or in its folder, see openat(2); of that the event has the name alone.
        if event == "open" and str(arguments[0]) in (str(path), path.name):
            descriptor = os.open(f"{path.parent}/./{path.name}", os.O_WRONLY)
            os.write(descriptor, os.urandom(4096))
            os.close(descriptor)

    sys.addaudithook(changing)
