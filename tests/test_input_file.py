"""Files that others wrote: regular ones are opened, whatever else is there is refused and not waited for."""

import errno
import os
import socket
from pathlib import Path

import pytest

from pipeline import input_file
from pipeline.input_file import UnfitFileError, open_regular, read
from pipeline.inputs import files

pytestmark = pytest.mark.unit


def reason(path: Path, *, inside: Path | None = None, limit: int = 10) -> str:
    with pytest.raises(OSError, match="Errno") as caught:
        read(path, limit, inside=inside)
    return str(caught.value.strerror)


def test_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "empty").touch()
    assert read(file, 10) == b"0123456789"
    assert read(tmp_path / "link", 10) == b"0123456789", "what the user names may be a symlink"
    assert read(file, 10, inside=tmp_path) == b"0123456789"
    assert read(tmp_path / "empty", 10) == b""
    with open_regular(file) as opened:
        assert opened.read(3) == b"012"
    input_file.check(file)


def test_what_is_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "maps").symlink_to("/proc/self/maps")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        assert reason(tmp_path / "socket") == "it is a socket, not a regular file"
    assert reason(tmp_path / "fifo") == "it is a FIFO, not a regular file"
    assert reason(tmp_path / "zero") == "it is a device, not a regular file"
    assert reason(tmp_path / "maps") == "it is a file of the kernel's, not one on a disk"
    assert reason(tmp_path) == "Is a directory"
    assert reason(tmp_path / "none") == "No such file or directory"
    with pytest.raises(UnfitFileError):
        input_file.check(tmp_path / "fifo")


def test_no_symlink_is_followed_inside(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("folder/file")
    (tmp_path / "away").symlink_to("folder")
    assert read(tmp_path / "folder/file", 10, inside=tmp_path) == b"x"
    assert reason(tmp_path / "link", inside=tmp_path) == "it is a symlink, not a regular file"
    assert reason(tmp_path / "away/file", inside=tmp_path).startswith("a symlink leads to it")
    assert reason(tmp_path / "folder/file/more", inside=tmp_path).startswith("a symlink leads to it")
    assert reason(tmp_path / "folder/none", inside=tmp_path) == "No such file or directory"
    assert read(tmp_path / "away/file", 10, inside=tmp_path / "away") == b"x", "the folder itself is the user's word"


def test_one_that_takes_the_place_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at it and the opening."""
    file = tmp_path / "file"
    file.write_bytes(b"x")
    real = os.open

    def open_later(path: str, flags: int, *, dir_fd: int | None = None) -> int:
        file.unlink()
        os.mkfifo(file)
        return real(path, flags, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", open_later)
    assert reason(file) == "it is a FIFO, not a regular file"


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    with file.open("wb") as opened:
        opened.truncate(1 << 40)
    assert reason(file) == "it is larger than 10 bytes"
    with pytest.raises(OSError, match="larger") as caught:
        read(file, 10)
    assert caught.value.errno == errno.EFBIG
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "b").write_bytes(b"abc")
    monkeypatch.setattr(files, "_in_all", [0])
    monkeypatch.setattr(files, "_MOST", 5)
    assert files.read(tmp_path / "a") == b"abc"
    assert files.read(tmp_path / "a") == b"abc", "it is the same"
    with pytest.raises(OSError, match="all files for guests together are larger than 5 bytes"):
        files.read(tmp_path / "b")
