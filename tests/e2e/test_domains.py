"""`doit start`, `stop`, `console`, `ls`, `retire`, and what `doit prune` does about guests that were set aside."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Workshop
from tests.e2e.test_interrupted import started
from tests.machine import need_root
from tests.toolstacks import Toolstacks

LISTED = """\
    farm: tiny
    masters:
      debian: {tar: debian.tar}
    defaults:
      master: debian
      root: 16M
      hypervisors: [xen, libvirt]
      network: {bridge: xenbr0, gateway: 10.0.0.1}
    guests:
      deb01: {address: 10.0.0.11/24}
"""


@pytest.fixture
def toolstacks(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Toolstacks:
    toolstacks = Toolstacks(workshop.folder / "bin")
    toolstacks.install("xl", "virsh")
    toolstacks.use(monkeypatch)
    return toolstacks


@pytest.fixture
def deployed(workshop: Workshop, toolstacks: Toolstacks) -> Workshop:
    """A farm of one guest, deployed on a host with xl and virsh."""
    workshop.write_list(LISTED)
    workshop.change_list("farm: tiny\n", f"farm: tiny\nimages: {workshop.folder / 'images'}\n")
    workshop.doit("deploy")
    return workshop


def config(farm: Workshop) -> Path:
    return farm.folder / "images/deb01/deb01.cfg"


def test_started_and_stopped(deployed: Workshop, toolstacks: Toolstacks) -> None:
    run = deployed.doit("start:deb01")
    assert run.output == f"$ xl create -p {config(deployed)}\n$ xl unpause deb01\n"
    assert toolstacks.calls == [f"xl create -p {config(deployed)}", "xl unpause deb01"]
    assert toolstacks.state("xl", "deb01") == "r-----"
    assert deployed.doit("start", "deb01").output == "deb01: is running already\n"
    assert deployed.doit("stop:deb01").output == "$ xl shutdown -F deb01\n"
    assert toolstacks.state("xl", "deb01") is None
    assert deployed.doit("stop:deb01").output == "deb01: is down already\n"


def test_a_guest_that_does_not_stop(deployed: Workshop, toolstacks: Toolstacks) -> None:
    toolstacks.set("virsh", "deb01", "running")
    toolstacks.be_stubborn("virsh")
    run = deployed.doit("stop", "deb01", "--timeout", "0", check=False)
    assert run.code == 1
    assert "deb01: is still up after 0 seconds; end it at once: doit stop --now deb01\n" in run.output
    deployed.doit("stop", "--now", "deb01")
    assert toolstacks.state("virsh", "deb01") == "shut off"


def test_a_guest_that_ends_while_it_is_told_to(deployed: Workshop, toolstacks: Toolstacks) -> None:
    """Another stop of it came first."""
    toolstacks.set("xl", "deb01", "r-----")
    xl = toolstacks.folder / "xl"
    xl.write_text(xl.read_text().replace("shutdown)", 'shutdown) rm "$domains/$3"; missing "$3";;\nunused)'))
    run = deployed.doit("stop", "deb01")
    assert run.output.endswith("deb01: is down by now\n")


def test_a_guest_that_a_toolstack_without_its_daemon_has_left(deployed: Workshop) -> None:
    disk = config(deployed).parent / "root.img"
    with disk.open("r+b"):
        output = deployed.doit("stop", "deb01").output
        assert output == f"deb01: is down already, but {disk} is in use by process {os.getpid()} (python)\n"


NO_DAEMON = "error: Failed to connect socket to '/var/run/libvirt/libvirt-sock': No such file or directory"


@pytest.mark.parametrize(("said", "hypervisors"), [("Permission denied", "[xen]"), (NO_DAEMON, "[libvirt]")])
def test_a_toolstack_that_the_guest_cannot_be_under(
    said: str, hypervisors: str, deployed: Workshop, toolstacks: Toolstacks
) -> None:
    """It is not asked; and one whose daemon is not there runs nothing."""
    deployed.change_list("[xen, libvirt]", hypervisors)
    for name in ("deb01.xml", "deb01.cfg"):
        if name != f"deb01.{'cfg' if hypervisors == '[xen]' else 'xml'}":
            (config(deployed).parent / name).unlink()
    toolstacks.fail("virsh", said)
    run = deployed.doit("ls")
    assert said not in run.output
    assert "down" in run.output
    deployed.doit("stop", "deb01")
    deployed.doit("resize", "deb01")
    deployed.change_list("deb01: {address: 10.0.0.11/24}", "deb02: {address: 10.0.0.12/24}")
    deployed.doit("retire", "deb01")


def test_one_cause_is_told_once(deployed: Workshop, toolstacks: Toolstacks) -> None:
    deployed.change_list("deb01: {address: 10.0.0.11/24}", "deb[01:03]: {address: '10.0.0.[11:13]/24', root: 24M}")
    toolstacks.fail("virsh", "error: authentication failed")
    for number in (2, 3):
        shutil.copytree(config(deployed).parent, deployed.folder / f"images/deb0{number}")
    for command in (["ls"], ["stop", "*"], ["resize"], ["resize", "--yes"]):
        run = deployed.doit(*command, check=False)
        assert run.code == 1, run.output
        assert run.output.count("authentication failed") == 1, run.output
        assert "Traceback" not in run.output


def test_a_guest_is_not_started_on_a_disk_in_use(deployed: Workshop, toolstacks: Toolstacks) -> None:
    with (config(deployed).parent / "root.img").open("rb"):
        run = deployed.doit("start", "deb01", check=False)
    assert run.code == 1
    assert f"root.img is in use by process {os.getpid()}" in run.output
    assert toolstacks.calls == []


def test_a_disk_that_is_mounted_while_its_guest_starts(
    deployed: Workshop, toolstacks: Toolstacks, tmp_path: Path
) -> None:
    """Somebody comes in between, who knows of no locks: the guest, which is paused, does not get to run."""
    need_root()
    disk, point = config(deployed).parent / "root.img", tmp_path / "in between"
    point.mkdir()
    xl = toolstacks.folder / "xl"
    xl.write_text(xl.read_text().replace("create)\n", f"create)\n    mount -o loop,ro '{disk}' '{point}'\n"))
    run = deployed.doit("start", "deb01", check=False)
    subprocess.run(["umount", point], check=True)
    assert run.code == 1
    assert "root.img is in use by the loop device /dev/loop" in run.output
    assert toolstacks.calls == [f"xl create -p {config(deployed)}", "xl destroy deb01"]
    assert toolstacks.state("xl", "deb01") is None


def test_a_configuration_of_something_else(deployed: Workshop, toolstacks: Toolstacks) -> None:
    config(deployed).write_text('name = "other"\n')
    run = deployed.doit("start", "deb01", check=False)
    assert run.code == 1
    assert (
        "has started something else than 'deb01', which is paused now; end that by xl; doit deploy deb01" in run.output
    )
    assert toolstacks.calls == [f"xl create -p {config(deployed)}"]


def test_what_the_toolstack_says(deployed: Workshop, toolstacks: Toolstacks) -> None:
    toolstacks.fail("xl", "Permission denied")
    for command in ("start", "stop", "console"):
        run = deployed.doit(command, "deb01", check=False)
        assert run.code in (1, 2)
        assert "Permission denied" in run.output
        assert "Traceback" not in run.output


def test_without_a_toolstack(deployed: Workshop, toolstacks: Toolstacks) -> None:
    deployed.change_list("[xen, libvirt]", "[qemu]")
    deployed.doit("deploy")
    run = deployed.doit("start", "deb01", check=False)
    assert run.code == 1
    assert "guest 'deb01' is for qemu, which doit does not start; run " in run.output
    assert "deb01.qemu.sh" in run.output


def test_who_is_meant(deployed: Workshop) -> None:
    assert deployed.doit("start", check=False).output == "which guests?; doit start GUEST ...; '*' stands for all\n"
    run = deployed.doit("stop", "dbe01", check=False)
    assert run.code == 2
    assert run.output.endswith("'dbe01'; did you mean 'deb01'?\n")
    assert "is not up" in deployed.doit("console", "deb01", check=False).output


def test_the_console_has_the_terminal(deployed: Workshop) -> None:
    controller, terminal = os.openpty()
    with started(deployed, "start", "-c", "deb01", stdin=terminal) as process:
        output, _ = process.communicate()
    os.close(controller)
    os.close(terminal)
    assert process.returncode == 0
    assert output.endswith("$ xl console deb01\nconsole of deb01 terminal\n")


def test_control_c_in_a_console_is_for_the_guest(deployed: Workshop, toolstacks: Toolstacks) -> None:
    toolstacks.set("xl", "deb01", "r-----")
    xl = toolstacks.folder / "xl"
    xl.write_text(xl.read_text().replace("console)", 'console) kill -INT "$PPID"; echo still here;'))
    run = deployed.doit("console", "deb01")
    assert run.output.startswith("$ xl console deb01\nstill here\n")
    assert "nterrupt" not in run.output


def test_ls(deployed: Workshop, toolstacks: Toolstacks) -> None:
    (deployed.folder / "images/old01").mkdir()
    toolstacks.set("xl", "deb01", "--p---")
    deployed.change_list("10.0.0.11/24}", "10.0.0.12/24, root: 24M, memory: 1G}\n  deb02: {address: dhcp}")
    rows = {row["guest"]: row for row in json.loads(deployed.doit("ls", "--json").output)}
    assert list(rows) == ["deb01", "deb02", "old01"]
    assert rows["deb01"]["state"] == "paused"
    assert rows["deb01"]["disks"][0]["size"] == 16 << 20
    assert rows["deb01"]["changes"] == [
        "root: network (address 10.0.0.11/24, the list has 10.0.0.12/24), size 16M, the list has 24M",
        "deb01.cfg",
        "deb01.xml",
    ]
    assert rows["deb02"]["state"] == "not deployed"
    assert not rows["old01"]["listed"]
    lines = deployed.doit("ls").output.splitlines()
    assert lines[0].split() == ["GUEST", "STATE", "SIZE", "TAKEN", "DEPLOYED", "LIST"]
    assert lines[3].endswith("not in the list")
    toolstacks.fail("xl", "Permission denied")
    run = deployed.doit("ls", check=False)
    assert run.code == 1
    assert "which guests run cannot be told" in run.output


def test_a_guest_whose_resize_was_interrupted_is_not_started(deployed: Workshop, toolstacks: Toolstacks) -> None:
    (config(deployed).parent / ".root.img.resize").mkdir()
    run = deployed.doit("start", "deb01", check=False)
    assert run.code == 1
    assert run.output.endswith("a resize of it was interrupted; finish that first: doit resize deb01 --yes\n")
    assert toolstacks.calls == []


def test_retired_and_pruned(deployed: Workshop, toolstacks: Toolstacks) -> None:
    assert "deb01: still in the list" in deployed.doit("retire", "deb01", check=False).output
    deployed.change_list("deb01: {address: 10.0.0.11/24}", "deb02: {address: 10.0.0.12/24}")
    toolstacks.set("xl", "deb01", "r-----")
    assert "is not down" in deployed.doit("retire", "deb01", check=False).output
    toolstacks.remove("xl", "deb01")
    deployed.doit("retire:deb01")
    (aside,) = (deployed.folder / "images").glob("deb01.retired-*")
    assert not config(deployed).exists()
    assert "1 guests were replaced or retired, and are kept" in deployed.doit("prune", "--yes").output
    assert str(aside) in deployed.doit("prune", "--replaced").output
    assert "no guest was" in deployed.doit("prune", "--replaced", "--yes", "--days", "1").output
    assert (aside / "root.img").exists()
    with (aside / "root.img").open("rb"):
        assert deployed.doit("prune", "--replaced", "--yes", check=False).code == 1
    deployed.doit("prune", "--replaced", "--yes")
    assert [path.name for path in (deployed.folder / "images").iterdir()] == [".locks"]
