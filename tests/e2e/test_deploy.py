"""`doit deploy` and `doit redeploy`: what guests have on their disks is theirs, whatever the list and the build do."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests import doit_process, kills
from tests.conftest import Mount
from tests.e2e.conftest import Workshop
from tests.e2e.test_interrupted import started
from tests.e2e.test_resize import opened_by_qemu
from tests.image import images
from tests.machine import need_root
from tests.toolstacks import Toolstacks

KILLS = 5
"""Of runs that deploy a farm."""


@pytest.fixture
def farm(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """A farm on a host that has xl and virsh, and runs nobody; nothing is built."""
    toolstacks = Toolstacks(workshop.folder / "bin")
    toolstacks.install("xl", "virsh")
    toolstacks.use(monkeypatch)
    workshop.change_list("farm: tiny\n", f"farm: tiny\nimages: {workshop.folder / 'images'}\n")
    workshop.change_list("swap: 1M", "swap: 1M\n  hypervisors: [xen, libvirt, qemu]")
    return workshop


def place(farm: Workshop, guest: str = "deb01") -> Path:
    return farm.folder / "images" / guest


def use(disk: Path) -> str:
    """Do what a guest does to its disk that runs, and return the digest of what is there then."""
    with disk.open("r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(b"precious")
    return digest(disk)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hidden(farm: Workshop) -> list[str]:
    return sorted(path.name for path in (farm.folder / "images").rglob(".*") if path.parent.name != ".locks")


def test_on_a_fresh_clone(farm: Workshop) -> None:
    run = farm.doit("deploy", "deb01", "web*")
    assert "root:web03" in run.executed
    assert "root:deb02" not in run.executed
    assert run.output.splitlines()[-4:] == [
        f"{guest}: deployed to {place(farm, guest)}" for guest in ("deb01", "web01", "web02", "web03")
    ]
    assert sorted(path.name for path in (farm.folder / "images").iterdir()) == [
        ".locks",
        "deb01",
        "web01",
        "web02",
        "web03",
    ]
    folder = place(farm)
    images.check(folder / "root.img")
    assert images.is_sparse(folder / "root.img")
    assert images.blkid(folder / "swap.img")["TYPE"] == "swap"
    assert images.cat(folder / "root.img", "etc/hostname") == "deb01\n"
    assert {path.name for path in folder.iterdir()} == {
        *("root.img", "swap.img", "vmlinuz", "initrd.img", "deployed.json"),
        *("deb01.cfg", "deb01.xml", "deb01.qemu.sh"),
    }
    for name in ("root.img", "swap.img", "vmlinuz"):
        assert str(folder / name) in (folder / "deb01.cfg").read_text()
        assert str(folder / name) in (folder / "deb01.xml").read_text()
    again = farm.doit("deploy", "deb01", "web*")
    assert (again.executed, again.output) == ([], "4 of 4 guests: nothing to do\n")


def test_host_keys_stay_on_the_root_disk(farm: Workshop) -> None:
    farm.change_list("host_keys: first-boot", "host_keys: ed25519")
    run = farm.doit("deploy:deb01")
    assert "keys:deb01" in run.executed
    assert {path.suffix for path in place(farm).iterdir()} == {".img", ".cfg", ".xml", ".sh", ".json", ""}
    assert not [path for path in place(farm).rglob("*") if "key" in path.name]
    assert farm.doit("deploy:deb01").output == "1 of 1 guests: nothing to do\n"


def test_whatever_changes_disks_stay(farm: Workshop) -> None:
    farm.doit("deploy:deb01")
    disks = {place(farm) / name: use(place(farm) / name) for name in ("root.img", "swap.img")}
    farm.change_list("gateway: 10.0.0.1", "gateway: 10.0.0.2")
    farm.change_list("root: 16M", "root: 24M\n  memory: 1G")
    farm.write_master({"etc/motd": b"another master\n", "boot/vmlinuz-6.1": b"another kernel"})
    run = farm.doit("deploy:deb01", "--process", "2")
    assert "root:deb01" not in run.executed, "what is not deployed need not be built"
    assert "deb01: deb01.cfg replaced, the old one is deb01.cfg.bak\n" in run.output
    assert "deb01: vmlinuz kept: the root disk has other modules than the new ones need\n" in run.output
    assert {disk: digest(disk) for disk in disks} == disks
    assert (place(farm) / "vmlinuz").read_bytes() == b"the kernel"
    assert "memory = 1024\n" in (place(farm) / "deb01.cfg").read_text()
    assert "memory = 512\n" in (place(farm) / "deb01.cfg.bak").read_text()
    assert (place(farm) / "deb01.qemu.sh").stat().st_mode & 0o777 == 0o755


def test_a_disk_that_the_list_has_now(farm: Workshop) -> None:
    farm.doit("deploy:deb01")
    root = use(place(farm) / "root.img")
    farm.change_list("deb01: {", "deb01: {disks: {data: 8M}, ")
    run = farm.doit("deploy:deb01")
    assert run.executed == ["disk:deb01:data", "config:deb01"]
    assert "deb01: data.img added\n" in run.output
    images.check(place(farm) / "data.img")
    assert (place(farm) / "data.img").stat().st_mode & 0o777 == 0o600
    assert "data.img" in (place(farm) / "deb01.cfg").read_text()
    assert digest(place(farm) / "root.img") == root


def test_redeploy(farm: Workshop) -> None:
    farm.doit("deploy:deb01")
    before = use(place(farm) / "root.img")
    farm.change_list("10.0.0.11/24", "10.0.0.99/24")
    run = farm.doit("redeploy:deb01", check=False)
    assert run.code == 2
    assert run.executed == []
    assert "deb01: root.img (16M, " in run.output
    assert run.output.endswith("nothing was done; to do it: doit redeploy deb01 --yes\n")
    assert digest(place(farm) / "root.img") == before
    run = farm.doit("redeploy", "deb01", "--yes")
    assert run.executed == ["root:deb01"]
    (aside,) = (farm.folder / "images").glob("deb01.replaced-*")
    assert run.output.endswith(f"deb01: deployed to {place(farm)}; what was there is now {aside}\n")
    assert digest(aside / "root.img") == before
    assert "10.0.0.99" in images.cat(place(farm) / "root.img", "etc/hosts")
    assert farm.doit("deploy:deb01").output == "1 of 1 guests: nothing to do\n"


@pytest.mark.parametrize("answer", ["yes", "no", ""])
def test_redeploy_asks(farm: Workshop, answer: str) -> None:
    farm.doit("deploy:deb01")
    controller, terminal = os.openpty()
    with started(farm, "redeploy", "deb01", stdin=terminal) as process:
        os.write(controller, f"{answer}\n".encode())
        output, _ = process.communicate()
    os.close(controller)
    os.close(terminal)
    assert "Type yes to go on: " in output
    assert process.returncode == (0 if answer == "yes" else 2), output
    assert len(list((farm.folder / "images").glob("deb01.replaced-*"))) == (answer == "yes")


def test_redeploy_needs_names(farm: Workshop) -> None:
    run = farm.doit("redeploy", "--yes", check=False)
    assert (run.code, run.output) == (2, "which guests are to have new disks?; doit redeploy GUEST ...\n")


def test_a_guest_that_runs(farm: Workshop) -> None:
    farm.doit("deploy:deb01")
    toolstacks = Toolstacks(farm.folder / "bin")
    for program, state, said in (("xl", "-b----", "running"), ("virsh", "paused", "paused")):
        toolstacks.set(program, "deb01", state)
        run = farm.doit("redeploy", "deb01", "--yes", check=False)
        assert run.code == 2
        assert f"guest 'deb01' is not down: {program} says that it is {said}" in run.output
        toolstacks.remove(program, "deb01")
    toolstacks.fail("xl", "Permission denied")
    run = farm.doit("redeploy", "deb01", "--yes", check=False)
    assert run.code == 2
    assert (
        "whether guest 'deb01' is down cannot be told: xl failed with exit code 1:\n  Permission denied" in run.output
    )
    assert list((farm.folder / "images").glob("*.replaced-*")) == []
    farm.change_list("10.0.0.11/24", "10.0.0.11/24, memory: 1G")
    assert "deb01.cfg replaced" in farm.doit("deploy:deb01").output, "a config is read when the guest starts"


def test_a_guest_whose_disk_qemu_has(farm: Workshop) -> None:
    """One that no toolstack knows of: by its script, or by hand."""
    farm.doit("deploy:deb01")
    before = digest(place(farm) / "root.img")
    farm.change_list("10.0.0.11/24", "10.0.0.11/24, memory: 1G")
    with opened_by_qemu(place(farm) / "root.img"):
        run = farm.doit("redeploy", "deb01", "--yes", check=False)
        assert run.code == 2
        assert "qemu-system" in run.output
        assert "deb01.cfg replaced" in farm.doit("deploy:deb01").output
    assert list((farm.folder / "images").glob("*.replaced-*")) == []
    assert digest(place(farm) / "root.img") == before


def test_a_guest_whose_disk_is_mounted(farm: Workshop, mount: Mount) -> None:
    farm.doit("deploy:deb01")
    mount(place(farm) / "root.img", "-o", "loop,ro")
    run = farm.doit("redeploy", "deb01", "--yes", check=False)
    assert run.code == 2
    assert "in use by the loop device" in run.output


def test_the_others_are_deployed_all_the_same(farm: Workshop) -> None:
    place(farm, "deb02").mkdir(parents=True)
    (place(farm, "deb02") / "root.img").write_bytes(b"by hand")
    farm.doit("root:deb01")
    disk = farm.path("guests/deb01/root.img")
    disk.chmod(0o600)  # as if somebody was about to run it where it was built
    run = farm.doit("deploy", check=False)
    assert run.code == 1
    assert f"deb01: {disk}: modified since it was made" in run.output
    assert f"deb02: {place(farm, 'deb02')} was not made by Guestfarm, and so is left alone" in run.output
    assert sorted(path.name for path in (farm.folder / "images").glob("*")) == [
        *(".locks", "deb02", "web01", "web02", "web03")
    ]
    assert (place(farm, "deb02") / "root.img").read_bytes() == b"by hand"


def test_two_at_once(farm: Workshop) -> None:
    with started(farm, "deploy") as one, started(farm, "deploy") as other:
        outputs = [process.communicate()[0] for process in (one, other)]
    codes = [one.returncode, other.returncode]
    assert 0 in codes, outputs
    assert all("is building here already" in output for output, code in zip(outputs, codes, strict=True) if code)
    assert len(list((farm.folder / "images").glob("*/deployed.json"))) == 5
    assert hidden(farm) == [".locks"]


def test_a_full_store(farm: Workshop, mount: Mount) -> None:
    farm.write_master({"boot/initrd.img-6.1": os.urandom(1 << 20)})
    disk = mount("none", "-t", "tmpfs", "-o", "size=1m")
    farm.change_list(str(farm.folder / "images"), str(disk / "images"))
    run = farm.doit("deploy:deb01", check=False)
    assert run.code == 2
    assert f"{disk}/images: what is to be deployed takes about 2." in run.output
    assert "and 1.0M is free; make room for" in run.output
    assert list((disk / "images").iterdir()) == []
    subprocess.run(["mount", "-o", "remount,size=4m", disk], check=True)
    assert "warning: guests may fill their sparse disks up to 18M, and 4.0M is free" in farm.doit("deploy:deb01").output


def test_a_store_that_is_not_there(farm: Workshop) -> None:
    farm.change_list(str(farm.folder / "images"), str(farm.folder / "none/images"))
    run = farm.doit("deploy", check=False)
    assert run.code == 2
    assert run.executed == []
    assert "the image store is not there, nor is the folder above it" in run.output
    assert not (farm.folder / "none").exists()


def test_a_killed_deploy_is_done_by_the_next(farm: Workshop) -> None:
    farm.doit("root:*", "swap:*", "config:*")
    store, trace = farm.folder / "images", farm.folder / "trace"
    assert doit_process.run(["deploy"], farm.folder, os.environ, prepare=partial(kills.trace, trace)).code == 0
    calls = kills.calls(trace)
    some = random.Random(KILLS).sample(calls, KILLS)
    for call in (kills.Call("rename", 1), *some):
        shutil.rmtree(store)
        killed = doit_process.run(["deploy"], farm.folder, os.environ, prepare=partial(kills.kill, call))
        assert killed.code == -signal.SIGKILL, call
        assert farm.doit("deploy").code == 0
        assert len(list(store.glob("*/deployed.json"))) == 5
        assert hidden(farm) == [".locks"]


def test_an_owner(farm: Workshop) -> None:
    need_root()
    run = farm.doit("deploy:deb01", "--owner", "no-such-user", check=False)
    assert (run.code, run.executed) == (2, [])
    farm.doit("deploy:deb01", "--owner", "nobody")
    assert (place(farm) / "root.img").owner() == "nobody"
    assert (place(farm) / "deb01.cfg").owner() == "root"


# --- Other networks, other farms ---


def test_a_farm_that_moved_to_another_network(farm: Workshop) -> None:
    farm.doit("deploy", "deb01", "deb02")
    before = (place(farm) / "deb01.cfg").read_text()
    farm.change_list("xenbr0", "br7")
    farm.change_list("10.0.0.", "10.7.0.")
    farm.change_list("deb02: {address: 10.7.0.12/24}", "deb02: {address: 10.0.0.12/24, network: {gateway: 10.0.0.1}}")
    run = farm.doit("deploy", "deb01", "deb02", check=False)
    assert run.code == 1
    assert (
        "deb01: left as it is: its disks have 10.0.0.11/24 by 10.0.0.1, and the list has 10.7.0.11/24 by 10.7.0.1 on "
        "the bridge br7, which it was not on: it would not be reached; put the network back in the list; or "
        "doit redeploy deb01 gives it new disks; or, if the guest was changed inside: doit deploy --adopt deb01\n"
    ) in run.output
    assert "deb02: deb02.cfg replaced, the old one is deb02.cfg.bak\n" in run.output, "it has its bridge elsewhere"
    assert run.output.endswith("1 deployed disk of 1 guest is stale: doit redeploy deb01\n")
    assert (place(farm) / "deb01.cfg").read_text() == before
    assert "does not fit its disks; root: network (address 10.0.0.11/24, the list" in farm.doit("ls", "deb01").output
    start = farm.doit("start", "deb01").output
    assert "deb01: runs as it was deployed, and the list has changed since: root: network (address 10.0.0.11" in start
    farm.doit("stop", "deb01")
    farm.doit("redeploy", "deb01", "--yes")
    assert farm.doit("deploy", "deb01").output == "1 of 1 guests: nothing to do\n"
    assert "the list has changed" not in farm.doit("start", "deb01").output


def test_how_many_disks_are_stale(farm: Workshop) -> None:
    farm.doit("deploy")
    farm.change_list("root: 16M", "root: 24M")
    farm.change_list("10.0.0.11/24", "10.0.0.99/24")
    run = farm.doit("deploy")
    assert (
        "deb01: root is stale: network (address 10.0.0.11/24, the list has 10.0.0.99/24), size 16M, the" in run.output
    )
    assert run.output.endswith(
        "5 of 5 guests: nothing to do\n"
        "5 deployed disks of 5 guests are stale: doit redeploy deb01; doit resize deb01 deb02 web01 web02 web03\n"
    )


def test_two_farms_in_one_store(farm: Workshop) -> None:
    """Each has guests of its own there, and leaves the others' alone, whatever their names."""
    text = (farm.folder / "guests.yaml").read_text()
    (farm.folder / "b.yaml").write_text(text.replace("farm: tiny", "farm: second").replace("deb02:", "second02:"))
    second = ("guests=b.yaml", "build=b")
    farm.doit("deploy", "deb01", "web*")
    disks = {path: digest(path) for path in (farm.folder / "images").glob("*/*.img")}
    run = farm.doit(*second, "deploy", "deb01", "second02", check=False)
    assert run.code == 1
    assert f"second02: deployed to {place(farm, 'second02')}\n" in run.output
    assert "root:deb01" not in run.executed, "what is not deployed need not be built"
    hint = "doit guests=b.yaml build=b redeploy --foreign deb01\n"
    assert f"deb01: {place(farm)} belongs to farm 'tiny', not to guest 'deb01' of farm 'second'; look at" in run.output
    assert hint in run.output
    ls = {row.split()[0]: row for row in farm.doit(*second, "ls").output.splitlines()}
    assert ls["deb01"].endswith("belongs to farm 'tiny'")
    assert ls["second02"].endswith("as deployed")
    assert farm.doit("ls", "second02").output.splitlines()[1].endswith("belongs to farm 'second'")
    for command in (["start", "deb01"], ["stop", "deb01"], ["console", "deb01"], ["resize", "deb01"]):
        run = farm.doit(*second, *command, check=False)
        assert run.code in {1, 2}
        assert "deb01 belongs to farm 'tiny'" in run.output
    farm.doit("start", "deb01")
    assert farm.doit(*second, "stop", "*").output == "second02: is down already\n"
    assert farm.doit(*second, "resize").output.endswith("second02  swap  1M   1M      nothing\n")
    farm.doit("stop", "deb01")
    run = farm.doit("retire", "second02", check=False)
    assert (run.code, place(farm, "second02").is_dir()) == (2, True)
    farm.doit("redeploy", "web01", "--yes")
    assert farm.doit(*second, "prune", "--replaced", "--yes").output == "no guest was replaced or retired\n"
    assert {path: digest(path) for path in disks if path.parent.name != "web01"} == {
        path: known for path, known in disks.items() if path.parent.name != "web01"
    }
    plan = farm.doit(*second, "redeploy", "deb*", "--foreign", "--owner", "root", check=False)
    again = "doit guests=b.yaml build=b redeploy 'deb*' --owner root --foreign --yes"
    assert plan.output.endswith(f"nothing was done; to do it: {again}\n")
    farm.doit(*second, "redeploy", "deb01", "--foreign", "--yes")
    assert "belongs to farm 'second'" in farm.doit("deploy", "deb01", check=False).output


def test_a_plan_refuses_what_the_deed_refuses(farm: Workshop) -> None:
    farm.doit("deploy", "deb01", "deb02", "web01")
    farm.change_list("farm: tiny", "farm: other")
    with opened_by_qemu(place(farm, "web01") / "root.img"):
        words = ("build=other", "redeploy", "deb01", "deb02", "web01")
        runs = [farm.doit(*words, *yes, check=False) for yes in ([], ["--yes"])]
        assert [run.code for run in runs] == [2, 2]
        assert runs[0].output == runs[1].output
        assert [line.partition(":")[0] for line in runs[0].output.splitlines()] == ["deb01", "deb02", "web01"]
        run = farm.doit("build=other", "redeploy", "web01", "--foreign", check=False)
        assert "is in use by" in run.output


def test_a_damaged_receipt(farm: Workshop) -> None:
    farm.doit("deploy", "deb01", "deb02")
    path = place(farm) / "deployed.json"
    path.unlink()
    path.write_text("{")
    run = farm.doit("deploy", check=False)
    assert run.code == 1
    assert f"deb01: {path} is damaged; without it, deb01 counts as made by hand" in run.output
    assert "web03: deployed to" in run.output
    run = farm.doit("ls", check=False)
    assert (run.code, "as deployed" in run.output, f"{path} is damaged" in run.output) == (1, True, True)
    assert farm.doit("stop", "deb01").output == "deb01: is down already\n"
    farm.doit("redeploy", "deb01", "--yes")
    assert farm.doit("ls", "deb01").output.endswith("as deployed\n")
