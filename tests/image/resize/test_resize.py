"""Disks with files in them made larger and smaller: all of it as before, or a clear refusal before anything is done."""

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import GuestfarmError, ImageError
from pipeline.image import ext, resize
from pipeline.image.ext import superblock
from pipeline.image.resize import overwritten, undo
from pipeline.image.resize.apply import Content, Disk
from pipeline.image.resize.plan import Change
from tests.conftest import Mount
from tests.image import images
from tests.image.images import MIB
from tests.machine import PATH, need_programs, need_root, run

FORMATS = {
    "ext2": ["-t", "ext2"],
    "ext2-blocks-of-1K": ["-t", "ext2", "-b", "1024"],
    "ext4-blocks-of-2K": ["-t", "ext4", "-b", "2048"],
    "ext2-without-resize_inode": ["-t", "ext2", "-O", "^resize_inode"],
    "ext3": ["-t", "ext3"],
    "ext3-small-inodes": ["-t", "ext3", "-I", "128"],
    "ext4": ["-t", "ext4"],
    "ext4-without-metadata_csum": ["-t", "ext4", "-O", "^metadata_csum,uninit_bg"],
    "ext4-without-64bit": ["-t", "ext4", "-O", "^64bit"],
    "ext4-meta_bg": ["-t", "ext4", "-O", "meta_bg,^resize_inode"],
    "ext4-without-resize_inode": ["-t", "ext4", "-O", "^resize_inode"],
    "ext4-newest": ["-t", "ext4", "-O", "metadata_csum,metadata_csum_seed,orphan_file,inline_data"],
}
FILES = 2000
SMALL, SIZE, LARGE = 24 * MIB, 48 * MIB, 272 * MIB
"""The last is more than two groups of 128 MiB, so that it has tables of its own to be made."""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thousands of files, most of them small."""
    top = tmp_path_factory.mktemp("tree")
    for number in range(FILES):
        path = top / f"directory{number % 20}" / f"file{number}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(f"{number}\n".encode() * (number * 37 % 900))
    (top / "large").write_bytes(b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(1 << 16)))
    (top / "link").symlink_to("large")
    return top


def handmade(path: Path, tree: Path, *options: str) -> Path:
    """A disk with the files of `tree`; blocks have 4096 bytes, as on larger disks, unless `options` say otherwise."""
    return images.handmade(path, "-b", "4096", *options, "-d", str(tree), size=SIZE)


@pytest.fixture(scope="module", params=FORMATS.values(), ids=list(FORMATS))
def image_of_format(request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handmade(tmp_path_factory.mktemp("formats") / "disk.img", tree, *request.param)


@pytest.fixture(scope="module")
def prepared(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handmade(tmp_path_factory.mktemp("ext4") / "disk.img", tree, "-t", "ext4")


@pytest.fixture
def image(prepared: Path, tmp_path: Path) -> Path:
    """An ext4 disk with files."""
    return copied(prepared, tmp_path / "disk.img")


def copied(source: Path, target: Path) -> Path:
    run("cp", "--sparse=always", source, target)
    return target


def checksums(image: Path, least: int = FILES) -> dict[str, str]:
    """The SHA-256 of each file in an image; symlinks as they lead."""
    found: dict[str, str] = {}
    with ext.open(image, write=False) as filesystem:
        pending = [""]
        while pending:
            above = pending.pop()
            for path in (f"{above}/{name}" for name in filesystem.names(above)):
                mode = filesystem.mode(path) or 0
                if stat.S_ISDIR(mode):
                    pending.append(path)
                else:
                    link = filesystem.readlink(path)
                    found[path] = f"-> {link}" if link else hashlib.sha256(filesystem.read(path)).hexdigest()
    assert len(found) >= least
    return found


def planned(image: Path, size: int, *, allocate: bool = False, shrink: bool = False) -> Change:
    disk = Disk(image=image, size=size, allocate=allocate, content=Content.FILE_SYSTEM)
    return resize.plan(disk, shrink=shrink)


def resized(image: Path, size: int, *, allocate: bool = False, shrink: bool = False) -> None:
    """Resize, and assert that the image is in order then, of this size, and that there is nothing more to do."""
    change = planned(image, size, allocate=allocate, shrink=shrink)
    assert change.what
    assert not change.refusal
    change.carry_out()
    assert_whole(image, size)


def assert_whole(image: Path, size: int) -> None:
    images.check(image)
    header = images.header(image)
    assert header["Filesystem state"] == "clean"
    assert int(header["Block count"]) * int(header["Block size"]) == size == image.stat().st_size
    assert list(image.parent.iterdir()) == [image], "nothing is left behind"
    assert planned(image, size).what == ""


def refused(change: Change) -> str:
    """What is said when a change is tried that cannot be done; the disk is what it was."""
    before = digest(change.disk.image)
    with pytest.raises(ImageError) as refusal:
        change.carry_out()
    assert digest(change.disk.image) == before
    assert len(list(change.disk.image.parent.glob(".*"))) == 0
    return refusal.value.message


def digest(image: Path) -> str:
    return hashlib.sha256(image.read_bytes()).hexdigest()


def test_grown_and_shrunk_with_all_that_is_in_it(image_of_format: Path, tmp_path: Path) -> None:
    image = copied(image_of_format, tmp_path / "disk.img")
    before, identity = checksums(image), images.blkid(image)["UUID"]
    resized(image, LARGE)
    assert checksums(image) == before
    assert images.is_sparse(image)
    assert images.blkid(image)["UUID"] == identity
    resized(image, SIZE, shrink=True)
    assert checksums(image) == before


# Saves what several disks have, each again and again.
SAVING = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pipeline.image.resize import overwritten
def save(number):
    for time in range(20):
        overwritten.save(Path(sys.argv[1]), int(sys.argv[2]), Path(f"{sys.argv[1]}.{number}.{time}"))
with ThreadPoolExecutor(4) as pool:
    list(pool.map(save, range(4)))
"""


def test_many_at_a_time(image: Path) -> None:
    """Also the end of the program is looked at: libext2fs has something to do then."""
    os.truncate(image, LARGE)
    completed = subprocess.run([sys.executable, "-c", SAVING, image, str(LARGE)], check=False)
    assert completed.returncode == 0
    saved = [path.read_bytes() for path in image.parent.glob(f"{image.name}.*")]
    assert len(saved) == 80
    assert len({*saved}) == 1


def test_nearly_all_is_saved_before_resize2fs_starts(image_of_format: Path, tmp_path: Path) -> None:
    """What it adds itself waits for the disk at each write: that are few, and it knows what is there already."""
    need_programs("strace")
    image = copied(image_of_format, tmp_path / "disk.img")
    if images.header(image)["Block size"] == "1024":
        return  # resized in a copy
    os.truncate(image, LARGE)
    before, changed = digest(image), image.stat().st_mtime_ns
    saved, trace = tmp_path / "undo", tmp_path / "trace"
    overwritten.save(image, LARGE, saved)
    assert image.stat().st_mtime_ns == changed
    run("strace", "-y", "-o", trace, "-e", "trace=pwrite64", "resize2fs", "-z", saved, image)
    assert sum(str(saved) in line for line in trace.read_text().splitlines()) < 40
    images.check(image)
    run("e2undo", saved, image)
    assert digest(image) == before


def test_nothing_to_do(image: Path) -> None:
    before = image.stat().st_mtime_ns
    change = planned(image, SIZE)
    assert (change.what, change.refusal, change.now) == ("", "", SIZE)
    change.carry_out()
    assert image.stat().st_mtime_ns == before


def test_a_size_without_room_for_its_last_group(image: Path) -> None:
    """resize2fs leaves it out, and the file is longer than the file system for ever."""
    size = 128 * MIB + 64 * 1024
    planned(image, size).carry_out()
    assert (superblock.read(image) or pytest.fail("no file system")).size < size == image.stat().st_size
    assert planned(image, size).what == ""


def test_full_stays_full(image: Path) -> None:
    with image.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, SIZE)
    assert SIZE - MIB < planned(image, 2 * SIZE).room <= SIZE
    resized(image, 2 * SIZE)
    assert not images.is_sparse(image)


def test_becomes_full_when_asked(image: Path) -> None:
    resized(image, 2 * SIZE, allocate=True)
    assert not images.is_sparse(image)


def test_an_interrupted_growth_by_hand_goes_on(image: Path) -> None:
    before = checksums(image)
    os.truncate(image, LARGE)
    assert planned(image, LARGE).what == "go on to grow the file system from 48M"
    resized(image, LARGE)
    assert checksums(image) == before


@pytest.fixture
def unreplayed(image: Path, mount: Mount) -> Path:
    """A copy made while it was mounted: what was written last is in the journal alone."""
    need_root()
    point = mount(image, "-o", "loop")
    for number in range(300):
        (point / f"late{number}").write_text(f"{number}\n" * number)
    fd = os.open(point, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)
    os.sync()
    return copied(image, image.with_name("unreplayed.img")).rename(make(image.parent / "alone") / "disk.img")


def make(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_an_unreplayed_journal(unreplayed: Path) -> None:
    found = superblock.read(unreplayed)
    assert found is not None
    assert found.needs_recovery
    resized(unreplayed, LARGE)
    late = {name: value for name, value in checksums(unreplayed).items() if name.startswith("/late")}
    assert late == {
        f"/late{number}": hashlib.sha256((f"{number}\n" * number).encode()).hexdigest() for number in range(300)
    }


def test_not_cleanly_unmounted_ext2(tree: Path, tmp_path: Path, mount: Mount) -> None:
    image = handmade(tmp_path / "disk.img", tree, "-t", "ext2")
    point = mount(image, "-o", "loop")
    (point / "late").write_text("late\n")
    os.sync()
    copy = copied(image, make(tmp_path / "alone") / "disk.img")
    assert images.header(copy)["Filesystem state"] == "not clean"
    resized(copy, LARGE)
    assert checksums(copy)["/late"] == hashlib.sha256(b"late\n").hexdigest()


def test_a_guest_whose_clock_is_ahead(image: Path) -> None:
    run("debugfs", "-w", "-R", "set_super_value mtime 20380101000000", image)
    resized(image, LARGE)


def test_a_corrupt_file_system_stops_before_the_first_byte(image: Path) -> None:
    run("debugfs", "-w", "-R", "clri directory3", image)
    with pytest.raises(ImageError, match=r"e2fsck cannot mend the file system without asking \(exit code 4\)"):
        planned(image, LARGE).carry_out()
    assert list(image.parent.iterdir()) == [image]
    assert image.stat().st_size == SIZE


def test_beyond_what_resize2fs_can_do_is_undone(tmp_path: Path, tree: Path) -> None:
    """Beyond the reserved descriptors, resize2fs fails half way, and leaves what only e2fsck -y would touch."""
    image = images.formatted(tmp_path, "ext4", SIZE).rename(make(tmp_path / "alone") / "disk.img")
    image.chmod(0o600)
    run("debugfs", "-w", "-R", f"write {tree / 'large'} large", image)
    change = planned(image, 70 << 30)
    with pytest.raises(ImageError, match="resize2fs cannot make the file system fill") as failure:
        change.carry_out()
    assert "e2fsck -fy" not in failure.value.message
    assert_whole(image, SIZE)
    run("debugfs", "-R", f"dump large {tmp_path / 'dumped'}", image)
    assert (tmp_path / "dumped").read_bytes() == (tree / "large").read_bytes()


def test_what_a_killed_copy_left_is_removed(image: Path) -> None:
    """Also by a resize that needs no copy."""
    image.with_name(f".{image.name}.draft-00000000").write_bytes(b"half")
    resized(image, LARGE)


def test_smaller_only_when_asked(image: Path) -> None:
    assert planned(image, SMALL).refusal == "it would become smaller: that needs --shrink"
    refused(planned(image, SMALL))


def test_not_below_the_minimum(image: Path) -> None:
    change = planned(image, 2 * MIB, shrink=True)
    with pytest.raises(ImageError, match=r"the file system needs .* at least, and 2M is wanted"):
        change.carry_out()
    assert_whole(image, SIZE)


@pytest.mark.parametrize("content", [Content.FILE_SYSTEM, Content.OWN])
def test_a_full_store(content: Content, small_disk: Path) -> None:
    image = images.sparse(small_disk / "disk.img", SIZE)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=1", "-O", "^has_journal", image)
    before = digest(image)
    filler = small_disk / "filler"
    messages = []
    for free in range(0, 120, 5):  # pages
        filler.write_bytes(bytes(8 * MIB - image.stat().st_blocks * 512 - free * 4096))
        change = resize.plan(Disk(image=image, size=LARGE, allocate=False, content=content))
        try:
            change.carry_out()
        except GuestfarmError as error:
            messages.append(error.message)
            filler.unlink()
            undo.roll_back(image)
            images.check(image)
            assert image.stat().st_size == SIZE
            continue
        break
    filler.unlink(missing_ok=True)
    assert image.stat().st_size == LARGE
    if content is Content.FILE_SYSTEM:
        assert messages
        images.check(image)
    else:
        assert digest(image) != before


def test_allocating_on_a_full_store_fails_up_front(small_disk: Path) -> None:
    image = images.sparse(small_disk / "disk.img", SIZE)
    run("mke2fs", "-q", "-F", "-t", "ext2", "-E", "lazy_itable_init=1", image)
    run("tune2fs", "-T", "20260101", image)  # a check would leave its own time
    assert "more is needed, and" in refused(planned(image, LARGE, allocate=True))


def test_swap_is_made_anew_with_its_identity(tmp_path: Path) -> None:
    image = images.sparse(tmp_path / "swap.img", MIB)
    run("mkswap", "-L", "a 'b\\c\"d$", "-U", "aaaaaaaa-1111-4222-8333-444444444444", image)
    image.chmod(0o640)
    before = images.blkid(image)
    for size in (3 * MIB, MIB):
        change = resize.plan(resize.of_image(image, size))
        assert change.what == "make the swap disk anew"
        change.carry_out()
        assert images.blkid(image) == before
        assert (image.stat().st_size, image.stat().st_mode & 0o777) == (size, 0o640)


def test_swap_with_a_sleeping_guest_stays(tmp_path: Path) -> None:
    image = images.sparse(tmp_path / "swap.img", MIB)
    run("mkswap", image)
    with image.open("r+b") as file:
        file.seek(4096 - 10)
        file.write(b"S1SUSPEND\0")
    change = resize.plan(Disk(image=image, size=2 * MIB, allocate=False, content=Content.SWAP))
    assert "is no swap disk: it has swsuspend" in refused(change)


def test_the_guests_own_disk(tmp_path: Path) -> None:
    image = images.sparse(tmp_path / "data.img", MIB)
    with image.open("r+b") as file:
        file.write(b"whatever")
    disk = Disk(image=image, size=3 * MIB, allocate=False, content=Content.OWN)
    resize.plan(disk).carry_out()
    assert image.read_bytes() == b"whatever".ljust(3 * MIB, b"\0")
    smaller = Disk(image=image, size=MIB, allocate=False, content=Content.OWN)
    assert "only the guest knows" in refused(resize.plan(smaller, shrink=True))


def test_what_is_no_file_system(tmp_path: Path) -> None:
    image = images.sparse(tmp_path / "disk.img", 4 * MIB)
    assert planned(image, 2 * MIB).refusal.endswith("but nothing that blkid knows")
    run("sh", "-c", 'echo start=2048 | sfdisk -q "$0"', image)
    assert planned(image, 2 * MIB).refusal == "it is divided into partitions (dos), not a file system as a whole"
    (tmp_path / "link.img").symlink_to(image)
    assert planned(tmp_path / "link.img", 2 * MIB).refusal == "is no regular file"
    assert planned(tmp_path / "missing.img", 2 * MIB).refusal == "No such file or directory"


def test_a_file_that_is_cut_off(image: Path) -> None:
    os.truncate(image, SIZE - MIB)
    assert "it is cut off" in planned(image, LARGE).refusal


class TestKilled:
    """SIGKILL at any step: the files are whole, and the next try comes to the wanted size."""

    SCRIPT = """
import sys
from pathlib import Path
from pipeline.image import resize
from pipeline.image.resize.apply import Content, Disk
disk = Disk(image=Path(sys.argv[1]), size=int(sys.argv[2]), allocate=False, content=Content.FILE_SYSTEM)
resize.plan(disk, shrink=True).carry_out()
"""

    def start(self, image: Path, size: int, *wrapper: str, path: Path | None = None) -> int:
        """Resize in a process of its own, and return how it ended."""
        argv = [*wrapper, sys.executable, "-c", self.SCRIPT, str(image), str(size)]
        environment = {**os.environ, "PATH": f"{path}:{PATH}" if path else PATH}
        return subprocess.run(argv, env=environment, capture_output=True, check=False).returncode

    def goes_on(self, image: Path, size: int, before: dict[str, str]) -> None:
        if image.stat().st_size != size or planned(image, size, shrink=True).what:
            planned(image, size, shrink=True).carry_out()
        assert_whole(image, size)
        assert checksums(image) == before

    @pytest.mark.parametrize("size", [LARGE, SMALL], ids=["grow", "shrink"])
    def test_between_the_programs(self, size: int, prepared: Path, tmp_path: Path) -> None:
        """Our own steps: each call that changes something for others to see."""
        need_programs("strace")
        calls = "trace=ftruncate,truncate,mkdir,rmdir,unlink,unlinkat,fsync"
        before = None
        for number in range(1, 100):
            image = copied(prepared, make(tmp_path / f"{size}-{number}") / "disk.img")
            before = before or checksums(image)
            kill = ["-e", calls, "-e", f"inject={calls.removeprefix('trace=')}:signal=KILL:when={number}"]
            if not self.start(image, size, "strace", "-o", str(tmp_path / "trace"), *kill):
                assert number > 5, "there was something to kill"
                return
            self.goes_on(image, size, before)
            run("rm", "-rf", image.parent)
        pytest.fail("there is no end of calls")

    def test_within_resize2fs(self, prepared: Path, tmp_path: Path) -> None:
        before = checksums(prepared)
        for number in self.writes("resize2fs", prepared, LARGE, 7, tmp_path):
            image = copied(prepared, make(tmp_path / f"resize2fs-{number}") / "disk.img")
            stub = self.stub(tmp_path / f"bin-resize2fs-{number}", "resize2fs", number)
            assert self.start(image, LARGE, path=stub) == -9
            assert undo.is_unfinished(image)
            assert planned(image, LARGE).what == "undo what was interrupted, then resize"
            self.goes_on(image, LARGE, before)

    def test_smaller_within_resize2fs(self, prepared: Path, tmp_path: Path) -> None:
        before = digest(prepared)
        for number in self.writes("resize2fs", prepared, SMALL, 3, tmp_path):
            image = copied(prepared, make(tmp_path / f"resize2fs-{number}") / "disk.img")
            stub = self.stub(tmp_path / f"bin-resize2fs-{number}", "resize2fs", number)
            assert self.start(image, SMALL, path=stub) == -9
            images.check(image)
            assert image.stat().st_size == SIZE
        self.goes_on(image, SMALL, checksums(prepared))
        assert before == digest(prepared)

    def test_within_e2fsck(self, unreplayed: Path, tmp_path: Path) -> None:
        before = None
        for number in self.writes("e2fsck", unreplayed, LARGE, 3, tmp_path):
            image = copied(unreplayed, make(tmp_path / f"e2fsck-{number}") / "disk.img")
            stub = self.stub(tmp_path / f"bin-e2fsck-{number}", "e2fsck", number)
            assert self.start(image, LARGE, path=stub) == -9
            planned(image, LARGE).carry_out()
            assert_whole(image, LARGE)
            before = before or checksums(image)
            assert "/late299" in before
            assert checksums(image) == before

    def writes(self, program: str, image: Path, size: int, share: int, tmp_path: Path) -> Iterator[int]:
        """About `share` of the writes of a program, the first and the last among them."""
        need_programs("strace")
        trace = tmp_path / f"{program}-{size}.trace"
        whole = copied(image, make(tmp_path / f"{program}-{size}") / "disk.img")
        stub = self.wrapper(tmp_path / f"bin-{program}-{size}", program, f"strace -A -o {trace} -e trace=pwrite64")
        assert self.start(whole, size, path=stub) == 0
        count = sum("pwrite64" in line for line in trace.read_text().splitlines())
        assert count >= share
        return iter(sorted({*range(1, count, max(1, count // share)), count}))

    def stub(self, folder: Path, program: str, number: int) -> Path:
        """A folder with a `program` that is killed at its write of this number, with the one that started it."""
        kill = f"strace -o {folder}.trace -e trace=pwrite64 -e inject=pwrite64:signal=KILL:when={number}"
        return self.wrapper(folder, program, kill, then="test $? -lt 128 || kill -9 $PPID")

    def wrapper(self, folder: Path, program: str, command: str, then: str = "") -> Path:
        make(folder)
        script = f'#!/bin/sh\n{command} /usr/sbin/{program} "$@"\n{then}\n'
        (folder / program).write_text(script)
        (folder / program).chmod(0o755)
        return folder


@pytest.fixture
def unfinished(image: Path) -> Path:
    """A disk whose resize was killed when the file system had become larger."""
    os.truncate(image, SIZE)
    with undo.undoable(image, allocated=False) as saved:
        run("e2fsck", "-f", "-p", "-z", saved.file, image, env={"E2FSCK_TIME": str(saved.time)})
        os.truncate(image, LARGE)
        saved.save(image, LARGE)
        run("resize2fs", "-z", saved.file, image)
        run("cp", "-a", undo.folder(image), image.with_name("kept"))
    image.with_name("kept").rename(undo.folder(image))
    return image


@pytest.mark.parametrize("torn", [range(1024, 1028), range(1088, 1100), range(2044, 2048), range(1024, 2048)])
def test_a_superblock_that_was_being_written(torn: range, prepared: Path, unfinished: Path) -> None:
    """It cannot be read, or not be right: what was saved is put back all the same."""
    with unfinished.open("r+b") as file:
        file.seek(torn.start)
        file.write(b"\xa5" * len(torn))
    assert planned(unfinished, LARGE).what == "undo what was interrupted, then resize"
    assert undo.roll_back(unfinished)
    assert unfinished.read_bytes() == prepared.read_bytes()
    resized(unfinished, LARGE)


def test_another_file_system_that_took_its_place(unfinished: Path) -> None:
    unfinished.write_bytes(bytes(4 * MIB))
    run("mkswap", unfinished)
    before = digest(unfinished)
    with pytest.raises(ImageError, match="since then it was replaced by swap; to keep that, remove the folder"):
        undo.roll_back(unfinished)
    assert digest(unfinished) == before


def test_started_by_the_guest_meanwhile_nothing_is_undone(image: Path, tmp_path: Path, mount: Mount) -> None:
    """Who mounts an unfinished disk has made something of it: to undo the resize now would spoil that."""
    os.truncate(image, LARGE)
    with undo.undoable(image, allocated=False) as saved:
        saved.save(image, LARGE)
        run("resize2fs", "-z", saved.file, image)
        run("cp", "-a", undo.folder(image), tmp_path / "kept")
    (tmp_path / "kept").rename(undo.folder(image))
    point = mount(image, "-o", "loop")
    (point / "late").write_text("late\n")
    run("umount", point)
    try:
        assert not undo.roll_back(image)
        images.check(image)
        assert checksums(image)["/late"] == hashlib.sha256(b"late\n").hexdigest()
    finally:
        run("mount", "-o", "loop", image, point)
