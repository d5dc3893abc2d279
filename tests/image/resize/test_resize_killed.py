"""A resize that ends at any of its calls, or of those of the programs it starts: nothing is lost, and the next goes on.

The states in between come from a single run, as copies, since they are hundreds; a few runs are killed for real.
"""

import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pipeline.image import resize
from pipeline.image.ext import superblock
from pipeline.image.files import sparse
from pipeline.image.resize import undo
from pipeline.image.resize.apply import Content, Disk
from tests.image import images
from tests.image.images import MIB
from tests.image.resize.test_resize import checksums, digest
from tests.killing import Killing
from tests.machine import mounted, run

SMALL, SIZE, LARGE = 14 * MIB, 24 * MIB, 48 * MIB
FILES = 200
SHARED_MEMORY = Path("/dev/shm")
"""Where there is no disk to wait for; what a kill leaves does not depend on that."""


@dataclass(frozen=True)
class Case:
    """A disk, and what becomes of it."""

    filesystem: str
    block_size: int
    dirty: bool
    """Whether it is a copy made while it was mounted."""
    size: int
    allocated: bool = False

    def __str__(self) -> str:
        words = [self.filesystem, f"blocks of {self.block_size}", "dirty" if self.dirty else "clean"]
        return ", ".join([*words, *["allocated"] * self.allocated, f"to {self.size // MIB}M"])


def make_disk(case: Case, folder: Path) -> Path:
    """A disk with directories of several blocks, which e2fsck -p indexes."""
    image, many = folder / "original.img", folder / "tree/many"
    many.mkdir(parents=True)
    for number in range(FILES):
        (many / name(number)).write_text(f"{number}\n" * (number % 50))
    options = ["-t", case.filesystem, "-O", "dir_index", "-b", str(case.block_size), "-d", str(many.parent)]
    images.handmade(image, *options, size=SIZE)
    if case.dirty:
        copy = folder / "copy"
        with mounted(image, folder / "mounted", "-o", "loop") as point:
            (point / "late").mkdir()
            for number in range(FILES):
                (point / "late" / name(number)).write_text(f"{number}\n")
            (point / "many" / name(7)).unlink()
            run("sync", "--file-system", point)
            run("cp", "--sparse=always", image, copy)
        copy.replace(image)
    if case.allocated:
        image.write_bytes(image.read_bytes())
    return image


def name(number: int) -> str:
    return f"file{number:04}-{'x' * 64}"


class Swept:
    """A case, and each state in which it can end."""

    def __init__(self, case: Case, folder: Path) -> None:
        self.case = case
        self.killing = Killing.prepare(folder / "killing")
        self.image = make_disk(case, folder)
        self.before = digest(self.image)
        self.place = folder / "guest"
        self.wanted: dict[str, str] = {}

    def resize(self, at: int = 0) -> int:
        """Resize a fresh copy by `doit resize`, killed as Killing.run() says, and return how many calls were made."""
        self.renew()
        return self.go_on(at)

    def go_on(self, at: int) -> int:
        """The same with what an earlier run has left."""
        argv = [sys.executable, "-m", "doit", "resize", "--shrink", "--image", "root.img"]
        completed = self.killing.run(*argv, "--to", f"{self.case.size // MIB}M", below=self.place, at=at)
        assert completed.code == (-9 if at > 0 else 0), completed.output
        if at <= 0:
            self.wanted = checksums(self.place / "root.img", FILES - 1)
        return completed.calls

    def renew(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        run("cp", self.image, self.place / "root.img")

    def goes_on(self, image: Path) -> bool:
        """Assert that the next run comes to the end, with all files; whether there was something to undo."""
        disk = Disk(image=image, size=self.case.size, allocate=False, content=Content.FILE_SYSTEM)
        assert not resize.plan(disk, shrink=True).refusal
        undone = undo.roll_back(image)
        if undone:
            assert digest(image) == self.before
            assert sparse.is_allocated(image) == self.case.allocated
        change = resize.plan(disk, shrink=True)
        change.carry_out()
        if change.what:  # else it is a copy of what was done already, and copies have holes for zeros
            assert sparse.is_allocated(image) == self.case.allocated
        images.check(image)
        found = superblock.read(image)
        assert found is not None
        assert found.size == image.stat().st_size == self.case.size
        assert list(image.parent.iterdir()) == [image]
        assert checksums(image, FILES - 1) == self.wanted
        return undone

    def sweep(self, states: Sequence[Path]) -> int:
        """Go on from each state; how many of them there was something to undo in."""
        undone = 0
        for state in states:
            try:
                undone += self.goes_on(state / "root.img")
            except BaseException as error:
                error.add_note(f"{self.case}: killed at call {state.name} of {len(self.killing.copies)}")
                raise
            shutil.rmtree(state)
        return undone


@contextmanager
def swept(case: Case) -> Iterator[Swept]:
    with TemporaryDirectory(dir=SHARED_MEMORY if SHARED_MEMORY.is_dir() else None, prefix="resize-") as folder:
        yield Swept(case, Path(folder))


EVERY = [
    Case(filesystem, block_size, dirty, size)
    for filesystem in images.FILE_SYSTEMS
    for block_size in (1024, 4096)
    for dirty in (False, True)
    for size in (LARGE, SMALL)
]
ALLOCATED = [Case("ext4", 4096, True, LARGE, allocated=True), Case("ext4", 1024, False, SMALL, allocated=True)]


@pytest.mark.power
@pytest.mark.parametrize("case", [*EVERY, *ALLOCATED], ids=str)
def test_at_every_call(case: Case) -> None:
    with swept(case) as sweeping:
        calls = sweeping.resize(at=-1)
        states = sweeping.killing.copies
        assert len(states) == calls
        undone = sweeping.sweep(states)
        assert bool(undone) == (case.block_size > 1024 and case.size == LARGE)
        print(f"{case}: {calls} calls, undone after {undone}")


@pytest.mark.power
def test_killed_again_at_every_call_while_it_is_undone() -> None:
    """Of some states that have much to undo, each is taken up by a run that ends at any of its calls, too."""
    with swept(Case("ext4", 4096, True, LARGE)) as sweeping:
        sweeping.resize(at=-1)
        unfinished = [state for state in sweeping.killing.copies if undo.is_unfinished(state / "root.img")]
        kept = sweeping.place.with_name("kept")
        shutil.copytree(sweeping.place.with_name("killing") / "copies", kept)
        for state in [kept / path.name for path in unfinished[:: len(unfinished) // 5]]:
            shutil.rmtree(sweeping.place)
            state.rename(sweeping.place)
            sweeping.go_on(at=-1)
            sweeping.sweep(sweeping.killing.copies)


@pytest.mark.parametrize("case", [Case("ext4", 4096, True, LARGE), Case("ext3", 1024, False, LARGE)], ids=str)
def test_at_some_calls(case: Case) -> None:
    with swept(case) as sweeping:
        calls = sweeping.resize(at=-1)
        states = sweeping.killing.copies
        assert len(states) == calls > 20
        undone = sweeping.sweep(states[3 :: len(states) // 12])
        assert bool(undone) == (case.block_size > 1024)
        for at in (calls // 3, calls * 2 // 3):
            sweeping.resize(at)
            sweeping.goes_on(sweeping.place / "root.img")
