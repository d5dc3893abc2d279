"""`doit resize`: the disks of a whole farm, each grown while its guest is down, and no failure stops the others."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import doit_process
from tests.conftest import Mount
from tests.e2e.conftest import ROOT, TINY_LIST, Workshop
from tests.image import images
from tests.image.images import MIB
from tests.machine import PATH, run
from tests.toolstacks import Toolstacks


class Store:
    """A farm whose guests are in its image store."""

    def __init__(self, workshop: Workshop, toolstacks: Toolstacks) -> None:
        self.workshop = workshop
        self.toolstacks = toolstacks

    def disk(self, guest: str, name: str = "root") -> Path:
        return self.workshop.folder / "images" / guest / f"{name}.img"

    def resize(self, *arguments: str, code: int = 0, environment: Mapping[str, str] | None = None) -> str:
        run = self.workshop.doit(
            "resize", *arguments, check=False, environment={**self.toolstacks.environment, **(environment or {})}
        )
        assert run.code == code, run.output
        assert "Traceback" not in run.output
        return run.output

    def assert_size(self, guest: str, size: int) -> None:
        image = self.disk(guest)
        assert image.stat().st_size == size
        images.check(image)
        assert images.cat(image, "etc/hostname") == f"{guest}\n"

    def log(self, guest: str) -> str:
        return self.workshop.path(f"logs/resize/{guest}.log").read_text()


def rows(output: str) -> dict[tuple[str, str], str]:
    """What the table that ends `output` says of each disk, in its last column."""
    found = {}
    for line in output.splitlines():
        cells = re.split("  +", line, maxsplit=4)
        if len(cells) == 5 and cells[0] != "guest":
            found[cells[0], cells[1]] = cells[4]
    return found


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A farm of five, built."""
    workshop = Workshop(tmp_path_factory.mktemp("farm"))
    (workshop.folder / "dodo.py").write_text((ROOT / "dodo.py").read_text())
    workshop.write_list(TINY_LIST)
    workshop.write_master()
    workshop.doit("-n", "2")
    return workshop.folder


@pytest.fixture
def store(prepared: Path, tmp_path: Path) -> Store:
    """The farm, with all but web03 in the image store, and a list that wants 24 MiB for their root disks."""
    workshop = Workshop(tmp_path / "farm")
    workshop.folder.mkdir()
    for name in ("dodo.py", "guests.yaml", "debian.tar"):
        shutil.copy(prepared / name, workshop.folder)
    workshop.change_list("farm: tiny\n", f"farm: tiny\nimages: {workshop.folder}/images\n")
    workshop.change_list("root: 16M", "root: 24M")
    for guest in ("deb01", "deb02", "web01", "web02"):
        deploy(prepared / "build/guests" / guest, workshop.folder / "images" / guest)
    toolstacks = Toolstacks(tmp_path / "bin")
    toolstacks.install("xl", "virsh")
    return Store(workshop, toolstacks)


def deploy(built: Path, place: Path) -> None:
    place.mkdir(parents=True)
    for disk in built.glob("*.img"):
        run("cp", "--sparse=always", disk, place)
        (place / disk.name).chmod(0o600)


def test_the_plan(store: Store) -> None:
    before = store.disk("deb01").stat().st_ctime_ns
    output = store.resize()
    found = rows(output)
    assert found["deb01", "root"] == "grow by 8.0M, sparse"
    assert found["deb01", "swap"] == "nothing"
    assert not any(guest == "web03" for guest, _ in found)
    assert output.endswith("do it with: doit resize --yes\n")
    assert store.disk("deb01").stat().st_ctime_ns == before
    assert not store.workshop.path("logs").exists()


def test_all_of_them(store: Store) -> None:
    output = store.resize("--yes", "-n", "2")
    assert [line for line in output.splitlines() if line.startswith("[4/4] ")]
    for guest in ("deb01", "deb02", "web01", "web02"):
        assert rows(output)[guest, "root"] == "done"
        store.assert_size(guest, 24 * MIB)
        commands = [line.split()[1] for line in store.log(guest).splitlines() if line.startswith("$ ")]
        assert [name for name in commands if name.startswith(("e2", "resize"))] == ["e2fsck", "resize2fs", "e2fsck"]
    assert "exit code 0" in store.log("deb01")
    again = store.resize("--yes")
    assert set(rows(again).values()) == {"nothing to do"}
    assert "doit resize --yes" not in store.resize()


@pytest.mark.parametrize("arguments", [["deb01", "--yes"], ["--yes", "deb0[1]"]])
def test_one_of_them(arguments: list[str], store: Store) -> None:
    assert {guest for guest, _ in rows(store.resize(*arguments))} == {"deb01"}
    store.assert_size("deb01", 24 * MIB)
    store.assert_size("deb02", 16 * MIB)


def test_as_a_verb(store: Store) -> None:
    run = store.workshop.doit("resize:deb01", "--yes", environment=store.toolstacks.environment)
    assert ("deb01", "root") in rows(run.output)
    store.assert_size("deb01", 24 * MIB)


def test_doit_is_not_confused(store: Store) -> None:
    store.workshop.doit("-n", "2")
    store.resize("--yes")
    assert store.workshop.doit().executed == []


def test_swap_and_more_disks(store: Store) -> None:
    store.workshop.change_list("swap: 1M", "swap: 3M\n  disks: {data: 16M, raw: {size: 4M, fs: none}}")
    folder = store.disk("deb01").parent
    images.handmade(folder / "data.img", "-t", "ext3", size=8 * MIB)
    images.sparse(folder / "raw.img", 2 * MIB)
    uuid = images.blkid(store.disk("deb01", "swap"))["UUID"]
    output = store.resize("deb01", "--yes")
    assert rows(output) == {("deb01", name): "done" for name in ("root", "swap", "data", "raw")}
    assert images.blkid(store.disk("deb01", "swap"))["UUID"] == uuid
    sizes = [store.disk("deb01", name).stat().st_size for name in ("root", "swap", "data", "raw")]
    assert sizes == [24 * MIB, 3 * MIB, 16 * MIB, 4 * MIB]
    assert rows(store.resize("deb02", code=1))["deb02", "data"] == "refused: No such file or directory"


def test_what_is_to_be_typed_can_be_pasted(store: Store) -> None:
    (store.workshop.folder / "guests.yaml").rename(store.workshop.folder / "other list.yaml")
    output = store.resize("guests=other list.yaml", "deb0*", "-n", "2")
    command = output.splitlines()[-1].removeprefix("do it with: doit ")
    assert shlex.split(command) == ["guests=other list.yaml", "resize", "deb0*", "-n", "2", "--yes"]


def test_a_swap_disk_with_something_else_on_it(store: Store) -> None:
    store.workshop.change_list("swap: 1M", "swap: 3M")
    images.handmade(store.disk("deb01", "swap").with_name("other.img"), size=MIB).replace(store.disk("deb01", "swap"))
    assert "refused: is no swap disk: it has ext2" in rows(store.resize("deb01", code=1))["deb01", "swap"]


def test_smaller_needs_telling(store: Store) -> None:
    store.workshop.change_list("root: 24M", "root: 12M")
    assert (
        rows(store.resize("deb01", code=1))["deb01", "root"] == "refused: it would become smaller: that needs --shrink"
    )
    assert rows(store.resize("deb01", "--yes", code=1))["deb01", "root"].startswith("refused: ")
    store.assert_size("deb01", 16 * MIB)
    plan = store.resize("deb01", "--shrink")
    assert re.fullmatch(r"shrink by 4\.0M, [0-9.]+[KM] is the least", rows(plan)["deb01", "root"])
    assert plan.endswith("do it with: doit resize deb01 --shrink --yes\n")
    store.resize("deb01", "--shrink", "--yes")
    store.assert_size("deb01", 12 * MIB)


def test_who_is_not_in_the_list_is_told(store: Store) -> None:
    store.disk("web02").parent.rename(store.disk("old01").parent)
    output = store.resize("--yes")
    assert "not in the list, and left alone: old01\n" in output
    assert store.disk("old01").stat().st_size == 16 * MIB
    assert "not in the list" not in store.resize("deb01")


def test_a_guest_that_is_not_deployed(store: Store) -> None:
    assert "guest 'web03' is not deployed" in store.resize("web03", code=2)
    assert "no such guest in the list: 'nix'" in store.resize("nix", code=2)
    shutil.rmtree(store.disk("deb01").parents[1])
    assert store.resize().startswith("no guest of the list is deployed in ")


@contextmanager
def opened(image: Path) -> Iterator[str]:
    with image.open("rb"):
        yield "in use by process"


@contextmanager
def opened_by_qemu(image: Path) -> Iterator[str]:
    """QEMU itself, with the disk, and no machine running yet."""
    argv = ["qemu-system-x86_64", "-S", "-display", "none", "-monitor", "stdio", "-drive", f"file={image},format=raw"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as qemu:
        assert qemu.stdout is not None
        qemu.stdout.readline()
        try:
            yield "qemu-system"
        finally:
            qemu.kill()


@pytest.mark.parametrize("use", [opened, opened_by_qemu])
def test_a_disk_in_use(use: type, store: Store) -> None:
    with use(store.disk("deb01")) as message:
        output = store.resize("--yes", "deb01", "deb02", code=1)
    assert message in rows(output)["deb01", "root"]
    store.assert_size("deb01", 16 * MIB)
    store.assert_size("deb02", 24 * MIB)


def test_a_disk_that_is_mounted(store: Store, mount: Mount) -> None:
    point = mount(store.disk("deb01"), "-o", "loop")
    assert f"mounted at {point}" in rows(store.resize("--yes", "deb01", code=1))["deb01", "root"]


def test_not_cleanly_unmounted(store: Store, mount: Mount) -> None:
    """A guest that was killed: its disk is as it was while it was mounted."""
    image = store.disk("deb01")
    copy = image.with_name("copy")
    point = mount(image, "-o", "loop")
    (point / "late").write_text("late\n")
    os.sync()
    run("cp", "--sparse=always", image, copy)
    run("umount", point)
    shutil.copyfile(copy, image)
    copy.unlink()
    try:
        assert "needs_recovery" in images.header(image)["Filesystem features"]
        store.resize("--yes", "deb01")
        assert "recovering journal" in store.log("deb01")
        assert images.cat(image, "late") == "late\n"
        store.assert_size("deb01", 24 * MIB)
    finally:
        run("mount", "-o", "loop", image, point)


class TestToolstacks:
    """What runs is not touched; neither is what might run."""

    @pytest.fixture(autouse=True)
    def both(self, store: Store) -> None:
        """The guests can be under both toolstacks."""
        store.workshop.change_list("root: 24M", "root: 24M\n  hypervisors: [xen, libvirt]")

    @pytest.mark.parametrize(("program", "state"), [("xl", "r-----"), ("virsh", "running")])
    def test_the_plan_for_a_guest_that_runs(self, program: str, state: str, store: Store) -> None:
        store.toolstacks.set(program, "deb01", state)
        output = store.resize("deb01", "deb02", code=1)
        found = rows(output)
        assert found["deb01", "root"].startswith("refused: guest 'deb01' is not down: ")
        assert found["deb01", "root"].endswith("; stop it first: doit stop deb01")
        assert found["deb01", "swap"] == "nothing"
        assert found["deb02", "root"] == "grow by 8.0M, sparse"
        assert output.endswith("do it with: doit resize deb01 deb02 --yes\n")
        assert "do it with" not in store.resize("deb01", code=1)

    def test_the_plan_for_a_disk_in_use(self, store: Store) -> None:
        with store.disk("deb01").open("rb"):
            assert "root.img is in use by process" in rows(store.resize("deb01", code=1))["deb01", "root"]
        assert not (store.disk("deb01").parents[1] / ".locks").exists()

    @pytest.mark.parametrize(("program", "state"), [("xl", "r-----"), ("xl", "--p---"), ("virsh", "running")])
    def test_a_guest_that_runs(self, program: str, state: str, store: Store) -> None:
        store.toolstacks.set(program, "deb01", state)
        output = store.resize("--yes", "deb01", "deb02", code=1)
        assert "guest 'deb01' is not down" in rows(output)["deb01", "root"]
        store.assert_size("deb01", 16 * MIB)
        store.assert_size("deb02", 24 * MIB)

    def test_a_toolstack_that_fails(self, store: Store) -> None:
        store.toolstacks.fail("xl", "xl: libxenlight is not well")
        output = store.resize("--yes", "deb01", code=1)
        assert "whether guest 'deb01' is down cannot be told" in output
        assert "libxenlight is not well" in output
        store.assert_size("deb01", 16 * MIB)

    def test_a_toolstack_that_says_nonsense(self, store: Store) -> None:
        store.toolstacks.print("virsh", "all is well\n")
        assert "virsh list printed something unknown" in store.resize("--yes", "deb01", code=1)

    def test_without_any(self, store: Store) -> None:
        shutil.rmtree(store.toolstacks.folder)
        store.resize("--yes", "deb01")
        store.assert_size("deb01", 24 * MIB)


def test_a_batch_of_thirty_with_three_that_fail(store: Store) -> None:
    workshop = store.workshop
    workshop.change_list('web[01:03]: {address: "10.0.0.[21:23]/24"}', 'web[01:30]: {address: "10.0.0.[21:50]/24"}')
    for number in range(3, 31):
        deploy(store.disk("web02").parent, store.disk(f"web{number:02}").parent)
    shutil.rmtree(store.disk("deb01").parent)
    shutil.rmtree(store.disk("deb02").parent)
    run("debugfs", "-w", "-R", "clri etc", store.disk("web07"))
    store.toolstacks.set("xl", "web13", "r-----")
    os.truncate(store.disk("web21"), 15 * MIB)
    output = store.resize("--yes", "-n", "2", code=1)
    found = {guest: result for (guest, disk), result in rows(output).items() if disk == "root"}
    assert len(found) == 30
    failed = {guest: result for guest, result in found.items() if result != "done"}
    assert set(failed) == {"web07", "web13", "web21"}, output
    assert "e2fsck cannot mend the file system without asking (exit code 4)" in failed["web07"]
    assert "exit code 4" in store.log("web07")
    assert "is not down" in failed["web13"]
    assert "it is cut off" in failed["web21"]
    assert store.disk("web07").stat().st_size == 16 * MIB
    assert {store.disk(guest).stat().st_size for guest in found.keys() - failed.keys()} == {24 * MIB}


def test_a_store_without_room(store: Store, small_disk: Path) -> None:
    """What takes its space at once must fit before anything is begun; what may take it later is a warning."""
    deploy(store.disk("web01").parent, small_disk / "web01")
    deploy(store.disk("web02").parent, small_disk / "web02")
    store.workshop.change_list(f"{store.workshop.folder}/images", str(small_disk))
    assert "warning: guests may fill their sparse disks by" in store.resize()
    store.workshop.change_list("root: 24M", "root: {size: 24M, allocate: full}")
    output = store.resize("--yes", code=2)
    assert "what is planned takes" in output
    assert (small_disk / "web01/root.img").stat().st_size == 16 * MIB


class TestKilled:
    """However it ends, the next run comes to the wanted size, with all files as they were."""

    def wrap(self, store: Store, program: str, when: str) -> dict[str, str]:
        """Have a program in PATH that ends doit, as kill -9 does, `before` or `after` it does its work."""
        folder = store.workshop.folder / "wrapped"
        folder.mkdir()
        work = f'"{shutil.which(program, path=PATH)}" "$@"; '
        kill = f'kill -{"INT" if when == "interrupt" else "KILL"} "$(cat {folder}/pid)"; '
        (folder / program).write_text(
            f"#!/bin/sh\n{work if when != 'before' else ''}{kill}{'' if when != 'before' else work}"
        )
        (folder / program).chmod(0o755)
        return {**os.environ, **store.toolstacks.environment, "PATH": f"{folder}:{store.toolstacks.folder}:{PATH}"}

    def start(self, store: Store, environment: Mapping[str, str]) -> tuple[int, str]:
        pid = store.workshop.folder / "wrapped/pid"
        with subprocess.Popen(
            [sys.executable, "-m", "doit", "resize", "--yes", "deb01", "deb02"],
            cwd=store.workshop.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            pid.write_text(str(process.pid))
            output, _ = process.communicate()
        return process.returncode, output

    @pytest.mark.parametrize("when", ["before", "after"])
    @pytest.mark.parametrize("program", ["e2fsck", "resize2fs"])
    def test_by_sigkill(self, program: str, when: str, store: Store) -> None:
        code, _ = self.start(store, self.wrap(store, program, when))
        assert code == -signal.SIGKILL
        store.resize("--yes")
        store.assert_size("deb01", 24 * MIB)
        store.assert_size("deb02", 24 * MIB)
        assert not list(store.disk("deb01").parent.glob(".*"))

    def test_by_control_c(self, store: Store) -> None:
        """What is at work comes to its end, and no more is begun."""
        environment = self.wrap(store, "resize2fs", "interrupt")
        code, output = self.start(store, environment)
        assert code == 130, output
        assert "interrupted: no more disks are begun" in output
        assert rows(output).get(("deb01", "root")) == "done", output
        assert rows(output)["deb02", "root"] == "not tried: interrupted"
        store.assert_size("deb01", 24 * MIB)
        store.assert_size("deb02", 16 * MIB)

    def test_by_control_c_twice(self, store: Store) -> None:
        environment = self.wrap(store, "resize2fs", "interrupt")
        stub = store.workshop.folder / "wrapped/resize2fs"
        alive = stub.with_name("alive")
        os.mkfifo(alive)
        stub.write_text(f"#!/bin/sh\nexec 3>{alive}\nexec sleep infinity\n")
        argv = [sys.executable, "-m", "doit", "resize", "--yes", "deb01", "deb02"]
        folder = store.workshop.folder
        with (
            subprocess.Popen(argv, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True) as process,
            alive.open() as end,
        ):
            assert process.stderr is not None
            process.send_signal(signal.SIGINT)
            assert process.stderr.readline().startswith("interrupted: no more disks are begun")
            process.send_signal(signal.SIGINT)
            assert process.stderr.read().startswith("stopped; no disk has come to harm: doit resize undoes")
            assert end.read() == ""  # it is open as long as the program runs
        assert process.returncode == 130
        store.resize("--yes", "deb01", "deb02")
        store.assert_size("deb01", 24 * MIB)
        store.assert_size("deb02", 24 * MIB)


class TestImages:
    """Images from anywhere, without a dodo.py and a list."""

    @pytest.fixture(autouse=True)
    def toolstacks(self, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Toolstacks:
        """Not this machine's own, which may be ill."""
        toolstacks = Toolstacks(tmp_path_factory.mktemp("machine") / "bin")
        toolstacks.install("xl", "virsh")
        toolstacks.use(monkeypatch)
        return toolstacks

    def resize(self, folder: Path, *arguments: str, code: int = 0) -> str:
        ended = doit_process.run(["resize", *arguments], folder, os.environ)
        assert ended.code == code, ended.output
        return ended.output

    def test_grown(self, tmp_path: Path) -> None:
        for name in ("one", "two"):
            images.handmade(tmp_path / f"{name}.img", "-t", "ext3")
        output = self.resize(tmp_path, "--image", "one.img", "--to", "20M", "two.img")
        assert output.count("$ resize2fs") == 2
        for name in ("one", "two"):
            images.check(tmp_path / f"{name}.img")
            assert (tmp_path / f"{name}.img").stat().st_size == 20 * MIB
        assert "nothing to do" in self.resize(tmp_path, "--image=one.img", "--to=20M")

    def test_smaller(self, tmp_path: Path) -> None:
        image = images.handmade(tmp_path / "disk.img", "-t", "ext4")
        assert "needs --shrink" in self.resize(tmp_path, "--image", "disk.img", "--to", "12M", code=1)
        self.resize(tmp_path, "--image", "disk.img", "--to", "12M", "--shrink")
        assert image.stat().st_size == 12 * MIB

    def test_a_guest_that_runs(self, tmp_path: Path, toolstacks: Toolstacks) -> None:
        """In the layout that others have, too, the folder has the name of the guest."""
        toolstacks.set("xl", "old01", "r-----")
        (tmp_path / "old01").mkdir()
        images.handmade(tmp_path / "old01/root.img", "-t", "ext3")
        assert "guest 'old01' is not down" in self.resize(tmp_path, "--image", "old01/root.img", "--to", "20M", code=1)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--image", "disk.img"], "--image and --to belong together"),
            (["--to", "4G"], "--image and --to belong together"),
            (["--image", "disk.img", "--to", "4096"], "expected a size like 512M, found '4096'; add a unit"),
            (["--image", "disk.img", "--to", "4097K"], "--to 4097K: expected a whole number of MiB"),
        ],
    )
    def test_mistakes(self, arguments: list[str], message: str, tmp_path: Path) -> None:
        assert message in self.resize(tmp_path, *arguments, code=2)

    def test_what_is_no_image(self, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("text\n")
        assert "refused: it has no ext2" in self.resize(tmp_path, "--image", "text", "--to", "4M", code=1)
        assert "No such file" in self.resize(tmp_path, "--image", "none", "--to", "4M", code=1)
