"""Farms for the tests of faults, and the work that is interrupted: what there is before, and how it is whole after."""

import hashlib
import json
import os
import re
import shutil
import stat
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from pipeline.image import ext
from tests import doit_process
from tests.e2e.conftest import ROOT, TINY_MASTER, Workshop
from tests.faults import remembered_keys, syscalls
from tests.faults.syscalls import Answer, Call, Ended, Meet
from tests.image import images
from tests.machine import run
from tests.toolstacks import Toolstacks

MIB = 1 << 20

# Together, an artifact of each kind.
LIST = """\
    farm: tiny
    images: IMAGES
    masters: {debian: {tar: debian.tar, identity: cloud-init}}
    defaults:
      master: debian
      memory: 128M
      root: 8M
      swap: 1M
      network: {bridge: xenbr0, gateway: 10.0.0.1}
    guests:
      deb01:
        address: 10.0.0.11/24
        identity: files
        hypervisors: [xen, libvirt, qemu, vmware]
        disks: {data: {size: 2M, fs: ext2, mount: /srv}, raw: {size: 1M, fs: none, allocate: full}}
      deb02: {address: 10.0.0.12/24}
"""
MORE_GUESTS = """\
      old01: {address: 10.0.0.21/24, identity: files, host_keys: first-boot}
      old02: {address: 10.0.0.22/24, identity: files, host_keys: first-boot}
"""

_UNIMPORTANT = re.compile(r"build/(logs(/.*)?|catalogue/[^.].*|state\.(db|db-wal|db-shm|lock))|images/\.locks(/.*)?")
"""What is not the same after each run, and need not be: it tells people something, saves time, or is doit's record."""

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}_[0-9]{6}")

Tree = Mapping[str, str]
"""What is at each path below a folder, as text that is the same where that is."""


class Farm:
    """A farm in `folder`, with programs in `tools`, which nothing fails for. Its image store is in `folder`, too."""

    def __init__(self, folder: Path, tools: Path) -> None:
        self.workshop = Workshop(folder)
        self.folder = folder
        self.images = folder / "images"
        self._toolstacks = Toolstacks(tools)
        if not tools.exists():
            self._toolstacks.install("xl", "virsh")
            (tools / "keys").mkdir()
            (tools / "sitecustomize.py").write_text(remembered_keys.SITECUSTOMIZE)
        self.environment = {
            **self._toolstacks.environment,
            "PYTHONPATH": f"{tools}:{ROOT}",
            remembered_keys.FOLDER: f"{tools}/keys",
        }

    def make(self, guests: str = LIST) -> None:
        """The folder, its list of guests and its master; nothing is built."""
        self.folder.mkdir()
        (self.folder / "dodo.py").write_text((ROOT / "dodo.py").read_text())
        self.workshop.write_list(guests.replace("IMAGES", str(self.images)))
        self.workshop.write_master({**TINY_MASTER, "usr/bin/cloud-init": b""})

    def doit(self, *arguments: str, meet: Meet = lambda _: Answer.GO_ON) -> Ended:
        """Run doit, and have `meet` answer each call that changes the farm."""
        return syscalls.run(
            [sys.executable, "-m", "doit", *arguments],
            folder=self.folder,
            environment=self.environment,
            below=self.folder,
            meet=meet,
        )

    def good(self, *arguments: str) -> str:
        """The output of a run of doit that must succeed."""
        variables = {**os.environ, **self.environment}
        # Not in a fork of a process that was started before the farm's disk was mounted, in a namespace of its own.
        ended = doit_process.run_afresh(arguments, self.folder, variables)
        assert ended.code == 0, f"doit {' '.join(arguments)}: exit code {ended.code}\n{ended.output}"
        return ended.output

    def tree(self) -> Tree:
        """All that is in the farm, but for logs, locks and doit's records."""
        found = ((str(path.relative_to(self.folder)), path) for path in sorted(self.folder.rglob("*")))
        return {_MOMENT.sub("DATE", name): _state(path) for name, path in found if not _UNIMPORTANT.fullmatch(name)}


def _state(path: Path) -> str:
    status = path.lstat()
    mode = f"{stat.S_IMODE(status.st_mode):o}"
    if not stat.S_ISREG(status.st_mode):
        return f"{mode} {path.readlink() if path.is_symlink() else 'folder'}"
    data = path.read_bytes()
    if path.name == "deployed.json":
        data = json.dumps(_without_moments(json.loads(data)), sort_keys=True).encode()
    return f"{mode} {hashlib.sha256(data).hexdigest()}"


def _without_moments(value: Any) -> Any:  # json's
    if isinstance(value, dict):
        return {name: _without_moments(each) for name, each in value.items() if name not in ("deployed", "stamp")}
    return value


def difference(there: Tree, wanted: Tree) -> str:
    """The names of what is not as it should be, in a line each."""
    lines = [f"missing: {name}" for name in wanted.keys() - there.keys()]
    lines += [f"left over: {name}" for name in there.keys() - wanted.keys()]
    lines += [f"different: {name}" for name in there.keys() & wanted.keys() if there[name] != wanted[name]]
    return "\n".join(sorted(lines))


class Work(ABC):
    """A run of doit that may be interrupted at any moment, on a farm."""

    arguments: tuple[str, ...]

    def __init__(self, farm: Farm) -> None:
        self.farm = farm
        self.wanted: Tree = {}

    @abstractmethod
    def prepare(self) -> None:
        """Make what is there before, once."""

    @abstractmethod
    def reset(self) -> None:
        """Have what was there before there again."""

    def run(self, meet: Meet = lambda _: Answer.GO_ON) -> Ended:
        """Do the work."""
        return self.farm.doit(*self.arguments, meet=meet)

    def tree(self) -> Tree:
        """What is there, as it can be compared."""
        return self.farm.tree()

    def run_undisturbed(self) -> list[Call]:
        """Do the work as it should be, keep what comes of it to compare with, and return its calls."""
        calls: list[Call] = []

        def note(call: Call) -> Answer:
            calls.append(call)
            return Answer.GO_ON

        ended = self.run(note)
        assert ended.code == 0, ended.output
        self.wanted = self.tree()
        self.assert_whole()
        return calls

    def assert_nothing_half_written(self) -> None:
        """After an interruption: what has a final name is as it is to be, or as it was before."""
        there = self.tree()
        wrong = [name for name, state in there.items() if not _hidden(name) and self._is_wrong(name, state)]
        assert not wrong, f"half-written: {wrong}"

    def _is_wrong(self, name: str, state: str) -> bool:
        return name in self.wanted and not state.endswith("folder") and self.wanted[name] != state

    def complete(self) -> None:
        """Run again, without any fault: that succeeds, and then everything is whole."""
        self.farm.good(*self.arguments)
        self.assert_whole()

    def assert_whole(self) -> None:
        """After a run that succeeded: everything is as after an undisturbed run."""
        assert not (found := difference(self.tree(), self.wanted)), found


def _hidden(name: str) -> bool:
    return any(part.startswith(".") for part in Path(name).parts)


class Build(Work):
    """Everything is built, on request or not, and no guest has keys yet."""

    arguments: tuple[str, ...] = ("*",)

    def prepare(self) -> None:
        self.farm.make()

    def reset(self) -> None:
        for name in ("build", "keys"):
            shutil.rmtree(self.farm.folder / name, ignore_errors=True)


class BuildByTwo(Build):
    """The same, by two processes."""

    arguments = ("-n", "2", "*")


class Stored(Work):
    """Work on guests that are in the image store, and have written to their disks."""

    def prepare(self) -> None:
        self.farm.make(LIST + MORE_GUESTS)
        self.farm.good("-n", "2")
        self.fill()
        self._saved = self.farm.folder.with_name("images.saved")
        _copy(self.farm.images, self._saved)

    def reset(self) -> None:
        shutil.rmtree(self.farm.images)
        _copy(self._saved, self.farm.images)

    @abstractmethod
    def fill(self) -> None:
        """Put guests into the store."""


def _copy(source: Path, target: Path) -> None:
    run("cp", "--archive", "--sparse=always", source, target)


def _use(store: Path) -> None:
    """Do to disks what guests do that run."""
    for disk in (*store.glob("*/root.img"), *store.glob("*/swap.img")):
        with disk.open("r+b") as file:
            file.seek(-4096, os.SEEK_END)
            file.write(b"precious")
            file.flush()
            os.fsync(file.fileno())


class Deploy(Stored):
    """Two guests are deployed, and a third, which is there and has written to its disk, gets a disk and more memory."""

    arguments = ("deploy", "*")

    def fill(self) -> None:
        self.farm.good("deploy", "old01")
        _use(self.farm.images)
        self.farm.workshop.change_list("old01: {", "old01: {memory: 256M, disks: {data: {size: 1M, fs: ext2}}, ")
        self.farm.good("-n", "2")

    def _is_wrong(self, name: str, state: str) -> bool:
        may_be_older = re.fullmatch(r"images/old01/(old01\.cfg|deployed\.json)", name)
        return not may_be_older and super()._is_wrong(name, state)

    def complete(self) -> None:
        super().complete()
        assert "nothing to do" in self.farm.good(*self.arguments)


class Retire(Stored):
    """Guests that left the list are retired, one after another."""

    GUESTS = ("old01", "old02")
    arguments = ("retire", "old*")

    def fill(self) -> None:
        self.farm.good("deploy", "old*")
        _use(self.farm.images)
        self.farm.workshop.change_list(indent(dedent(MORE_GUESTS), "  "), "")

    def complete(self) -> None:
        if any((self.farm.images / guest).exists() for guest in self.GUESTS):
            self.farm.good(*self.arguments)
        self.assert_whole()


class Resize(Stored):
    """Deployed disks become larger: in place, and in a copy; with hundreds of files in a directory without an index."""

    arguments: tuple[str, ...] = ("resize", "--yes", "deb0*")
    FORMATS: Mapping[str, tuple[str, ...]] = {
        "deb01": ("-t", "ext4", "-b", "4096"),
        "deb02": ("-t", "ext3", "-b", "1024", "-O", "dir_index"),
    }
    FILES = 600

    def fill(self) -> None:
        source = self.farm.folder.with_name("source")
        (source / "many").mkdir(parents=True)
        for number in range(self.FILES):
            (source / "many" / f"file{number:03}{'x' * 60}").write_text(f"{number}\n")
        for guest, options in self.FORMATS.items():
            (self.farm.images / guest).mkdir(parents=True)
            disk = self.farm.images / guest / "root.img"
            images.handmade(disk, *options, "-d", str(source), size=16 * MIB)
            run("mkswap", images.sparse(disk.with_name("swap.img"), MIB), codes=(0,))
        for name in ("data", "raw"):
            _copy(self.farm.workshop.path(f"guests/deb01/{name}.img"), self.farm.images / "deb01")
        for old, new in (("root: 8M", "root: 160M"), ("swap: 1M", "swap: 2M"), ("size: 2M", "size: 3M")):
            self.farm.workshop.change_list(old, new)

        self._before = {disk: (images.blkid(disk)["UUID"], _contents(disk)) for disk in self._disks("root", "data")}

    def _disks(self, *names: str) -> list[Path]:
        return [path for path in sorted(self.farm.images.glob("*/*.img")) if path.stem in names]

    def _is_wrong(self, name: str, state: str) -> bool:
        return False  # a disk that is resized in its place is whole again when the next run is done

    def tree(self) -> Tree:
        """The sizes of disks: a file system that was resized has times in it."""
        there = self.farm.tree()
        sizes = {
            str(disk.relative_to(self.farm.folder)): f"{disk.stat().st_size}" for disk in self._disks("root", "data")
        }
        return {**there, **sizes}

    def assert_whole(self) -> None:
        super().assert_whole()
        for disk, (uuid, contents) in self._before.items():
            images.check(disk)
            assert (images.blkid(disk)["UUID"], _contents(disk)) == (uuid, contents), f"{disk} has lost something"


class ResizeByTwo(Resize):
    """The same, two guests at a time."""

    arguments = ("resize", "--yes", "-n", "2", "deb0*")


def _contents(disk: Path) -> Mapping[str, str]:
    """The digest of each file on a disk, by its path; of a directory, that it is one."""
    found: dict[str, str] = {}
    with ext.open(disk, write=False) as filesystem:
        pending = [""]
        while pending:
            above = pending.pop()
            for path in (f"{above}/{name}" for name in filesystem.names(above)):
                if stat.S_ISDIR(filesystem.mode(path) or 0):
                    found[path] = "directory"
                    pending.append(path)
                else:
                    found[path] = hashlib.sha256(filesystem.read(path)).hexdigest()
    return found
