"""`doit mount` and `doit umount`: the disk of a guest that is down, read-only unless told otherwise."""

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import HostError
from pipeline.host.mount import check_root
from tests.e2e.conftest import Run, Workshop
from tests.image import images
from tests.machine import need_root, run
from tests.toolstacks import Toolstacks


class Host:
    """A farm with deb01 in its image store and deb02 only built."""

    def __init__(self, workshop: Workshop, toolstacks: Toolstacks) -> None:
        self.workshop = workshop
        self.toolstacks = toolstacks
        self.disk = workshop.folder / "images/deb01/root.img"
        self.point = workshop.folder / "a folder"

    def doit(self, *arguments: str, code: int = 0) -> Run:
        run = self.workshop.doit(*arguments, check=False, environment=self.toolstacks.environment)
        assert run.code == code, run.output
        assert "Traceback" not in run.output
        return run

    def loops(self) -> str:
        return run("losetup", "--associated", self.disk)


@pytest.fixture
def host(workshop: Workshop, tmp_path: Path) -> Iterator[Host]:
    need_root()
    workshop.change_list("farm: tiny\n", f"farm: tiny\nimages: {tmp_path}/images\n")
    workshop.doit("root:deb01", "swap:deb01", "root:deb02")
    toolstacks = Toolstacks(tmp_path / "bin")
    toolstacks.install("xl")
    host = Host(workshop, toolstacks)
    host.disk.parent.mkdir(parents=True)
    for disk in ("root.img", "swap.img"):
        run("cp", "--sparse=always", workshop.path("guests/deb01") / disk, host.disk.parent)
        (host.disk.parent / disk).chmod(0o600)
    host.point.mkdir()
    yield host
    while os.path.ismount(host.point):
        run("umount", host.point)


def options(point: Path) -> set[str]:
    return set(run("findmnt", "-n", "-o", "OPTIONS", "--target", point).strip().split(","))


def test_read_only(host: Host) -> None:
    before = host.disk.read_bytes()
    output = host.doit("mount", "deb01", "a folder").output
    assert output.startswith(f"{host.disk}, as deployed is at {host.point}, read-only")
    assert options(host.point) >= {"ro", "nosuid", "nodev", "noexec"}
    assert (host.point / "etc/hostname").read_text() == "deb01\n"
    assert host.doit("umount", "deb01").output == f"{host.disk} is no longer at {host.point}\n"
    assert not os.path.ismount(host.point)
    assert host.loops() == ""
    assert host.disk.read_bytes() == before


def test_to_be_written_to(host: Host) -> None:
    host.doit("mount", "--rw", "deb01", str(host.point))
    assert options(host.point) >= {"rw", "nosuid", "nodev", "noexec"}
    (host.point / "late").write_text("late\n")
    host.workshop.change_list("root: 16M", "root: 24M")
    assert f"mounted at {host.point}" in host.doit("resize", "deb01", "--yes", code=1).output
    assert "in use by the loop device" in host.doit("mount", "deb01", "a folder", code=2).output
    host.doit("umount", "a folder/")
    assert images.cat(host.disk, "late") == "late\n"
    images.check(host.disk)
    host.doit("resize", "deb01", "--yes")


def test_an_unreplayed_journal(host: Host, tmp_path: Path) -> None:
    """Read-only means that nothing is written: the kernel would replay it."""
    copy = tmp_path / "copy"
    host.doit("mount", "--rw", "deb01", "a folder")
    (host.point / "late").write_text("late\n")
    run("sync", "-f", host.point)
    run("cp", "--sparse=always", host.disk, copy)
    host.doit("umount", "deb01")
    shutil.copyfile(copy, host.disk)
    before = host.disk.read_bytes()
    assert "warning: it was not cleanly unmounted" in host.doit("mount", "deb01", "a folder").output
    assert (host.point / "etc/hostname").exists()
    host.doit("umount", "deb01")
    assert host.disk.read_bytes() == before
    assert "not cleanly unmounted: what only its journal has" in host.doit("files", "deb01").output
    host.doit("mount", "deb01", "a folder", "--rw")
    assert (host.point / "late").read_text() == "late\n"
    host.doit("umount", "deb01")
    images.check(host.disk)


def test_what_runs_is_not_mounted(host: Host) -> None:
    host.toolstacks.set("xl", "deb01", "r-----")
    assert "guest 'deb01' is not down" in host.doit("mount", "deb01", "a folder", code=2).output
    assert not os.path.ismount(host.point)


def test_looking_while_it_runs(host: Host) -> None:
    host.toolstacks.set("xl", "deb01", "r-----")
    output = host.doit("cat", "deb01", "/etc/hostname").output
    assert f"reading {host.disk}, as deployed" in output
    assert "cat: warning: guest 'deb01' is not down" in output
    assert output.endswith("deb01\n")
    assert "warning" not in host.doit("cat", "deb01", "/etc/hostname", "--built").output


def test_a_guest_that_left_the_list(host: Host) -> None:
    host.workshop.change_list("  deb01: {address: 10.0.0.11/24}\n", "")
    assert host.doit("cat", "deb01", "/etc/hostname").output.endswith("deb01\n")
    host.doit("mount", "deb01", "a folder")
    host.doit("umount", "deb01")


def test_what_is_only_built(host: Host) -> None:
    assert "not to be written to" in host.doit("mount", "deb02", "a folder", "--rw", code=2).output
    assert "as built" in host.doit("mount", "deb02", "a folder").output
    host.doit("umount", "deb02")
    assert host.workshop.doit("root:deb02").executed == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mount"], "doit mount takes a guest and a folder; as in: doit mount deb01 /mnt"),
        (["mount", "deb01", "nowhere"], "nowhere is no folder; make it first"),
        (["mount", "dbe01", "a folder"], "no such guest in the list: 'dbe01'; did you mean 'deb01'?"),
        (["mount", "deb01", "a folder", "--disk", "data"], "guest 'deb01' has no disk 'data'; it has root, swap"),
        (["umount"], "doit umount takes guests and folders; as in: doit umount deb01"),
        (["umount", "deb01"], "no disk of a guest is mounted for deb01"),
        (["umount", "/proc"], "no disk of a guest is mounted at /proc"),
        (["umount", "dbe01"], "no such guest in the list: 'dbe01'; did you mean 'deb01'?"),
    ],
)
def test_mistakes(arguments: list[str], message: str, host: Host) -> None:
    assert host.doit(*arguments, code=2).output.endswith(f"{message}\n")


def test_it_is_busy(host: Host) -> None:
    host.doit("mount", "deb01", "a folder")
    with (host.point / "etc/hostname").open():
        output = host.doit("umount", "deb01", code=2).output
    assert "target is busy" in output
    assert f"fuser -vm {shlex.quote(str(host.point))}" in output


def test_only_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostError, match="only root can mount"):
        check_root()
