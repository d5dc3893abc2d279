"""Folders of the host as masters."""

import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipeline.errors import MasterError
from pipeline.image.layer import directory
from pipeline.image.layer.entries import Directory, Entry, File, HardLink, Special, Symlink

pytestmark = pytest.mark.unit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    top = tmp_path / "master"
    (top / "etc").mkdir(parents=True)
    (top / "etc/hostname").write_text("master\n")
    (top / "etc/hostname").chmod(0o4640)
    os.utime(top / "etc/hostname", ns=(0, 1_600_000_000_123_456_789))
    (top / "etc/again").hardlink_to(top / "etc/hostname")
    (top / "etc.d").mkdir()
    (top / "lib").symlink_to("usr/lib")
    (top / os.fsdecode(b"\xff\n")).write_text("")
    os.mkfifo(top / "fifo")
    with (top / "sparse").open("wb") as file:
        file.truncate(1 << 30)
        file.seek(5 << 20)
        file.write(b"D" * 4096)
    return top


def entries(folder: Path) -> dict[str, Entry]:
    return {entry.path: entry for entry in directory.entries(folder)}


def test_everything_in_order(folder: Path) -> None:
    found = entries(folder)
    assert list(found) == ["", "etc", "etc/again", "etc/hostname", "etc.d", "fifo", "lib", "sparse", "\udcff\n"]
    assert [type(entry) for entry in found.values()] == [
        *(Directory, Directory, File, HardLink, Directory, Special, Symlink, File, File)
    ]


def test_metadata(folder: Path) -> None:
    entry = entries(folder)["etc/again"]
    assert isinstance(entry, File)
    assert (entry.metadata.mode, entry.metadata.mtime) == (0o4640, 1_600_000_000_123_456_789)
    assert (entry.metadata.uid, entry.metadata.gid) == (os.geteuid(), (folder / "etc/again").stat().st_gid)
    assert entry.content.read() == b"master\n"


def test_links(folder: Path) -> None:
    found = entries(folder)
    assert found["etc/hostname"] == HardLink("etc/hostname", "etc/again")
    link = found["lib"]
    assert isinstance(link, Symlink)
    assert link.target == "usr/lib"


def test_holes_are_not_read(folder: Path) -> None:
    entry = entries(folder)["sparse"]
    assert isinstance(entry, File)
    assert entry.content.size == 1 << 30
    assert list(entry.content.chunks()) == [(5 << 20, b"D" * 4096)]


def test_sockets_are_left_out(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)  # names of sockets are short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
    assert "socket" not in entries(folder)


WRONG: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda folder: folder.rename(f"{folder}2"), "{folder}: No such file or directory"),
    "a file": (lambda folder: (folder.rename(f"{folder}2"), folder.write_text("")), "{folder}: Not a directory"),
}


@pytest.mark.parametrize(("spoil", "message"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize("look", [directory.fingerprint, lambda folder: list(directory.entries(folder))])
def test_no_folder(spoil: Callable[[Path], object], message: str, look: Callable[[Path], object], folder: Path) -> None:
    spoil(folder)
    with pytest.raises(MasterError, match=message.format(folder=folder)):
        look(folder)


def replace(path: Path, data: bytes) -> None:
    path.unlink()
    path.write_bytes(data)


def replace_by_symlink(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/passwd")


SPOILED: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "gone": (Path.unlink, "No such file or directory"),
    "replaced": (lambda file: replace(file, b"m" * 7), "changed while it was read; run doit again"),
    "a symlink": (replace_by_symlink, "it is a symlink, not a regular file"),
    "written to": (lambda file: file.write_text("longer than before"), "changed while it was read; run doit again"),
    "cut off": (lambda file: file.write_text(""), "changed while it was read; run doit again"),
    "touched": (lambda file: os.utime(file, ns=(0, 0)), "changed while it was read; run doit again"),
}


@pytest.mark.parametrize(("spoil", "message"), SPOILED.values(), ids=SPOILED)
def test_changed_while_it_was_read(spoil: Callable[[Path], object], message: str, folder: Path) -> None:
    file = folder / "etc/again"
    entry = entries(folder)["etc/again"]
    assert isinstance(entry, File)
    spoil(file)
    with pytest.raises(MasterError, match=f"{file}.*{message}"):
        list(entry.content.chunks())


def write_and_set_the_time_back(path: Path) -> None:
    before = path.stat().st_mtime_ns
    path.write_text("other!\n")
    os.utime(path, ns=(0, before))


CHANGES: Mapping[str, Callable[[Path], object]] = {
    "contents": lambda folder: (folder / "etc/hostname").write_text("other!\n"),
    "contents, and the time set back": lambda folder: write_and_set_the_time_back(folder / "etc/hostname"),
    "mode": lambda folder: (folder / "etc/hostname").chmod(0o600),
    "time": lambda folder: os.utime(folder / "etc/hostname", ns=(0, 1)),
    "one more": lambda folder: (folder / "etc/new").write_text(""),
    "one less": lambda folder: (folder / "fifo").unlink(),
    "another name": lambda folder: (folder / "fifo").rename(folder / "pipe"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_fingerprint_changes(change: Callable[[Path], object], folder: Path) -> None:
    before = directory.fingerprint(folder)
    assert directory.fingerprint(folder) == before
    change(folder)
    assert directory.fingerprint(folder) != before
