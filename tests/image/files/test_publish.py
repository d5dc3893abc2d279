"""Publishing: whole or not at all, whatever fails on the way."""

import errno
import os
import re
from pathlib import Path

import pytest

from pipeline.errors import ImageError, ProcessError
from pipeline.image.files.publish import PROGRAM, PUBLIC, SECRET, publish, publish_link, publish_text, sweep
from tests.machine import need_root

pytestmark = pytest.mark.unit


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_name_comes_last(tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "root.img"
    with publish(target) as draft:
        draft.write_text("whole")
        assert not target.exists()
        assert draft.parent == target.parent, "or it could not be renamed"
        assert draft.name.startswith(".root.img.draft-")
    assert target.read_text() == "whole"
    assert names(target.parent) == ["root.img"]


@pytest.mark.parametrize("mode", [SECRET, PUBLIC, PROGRAM])
def test_nobody_writes_to_it_by_accident(mode: int, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with publish(tmp_path / "a", mode=mode) as draft:
            draft.write_text("")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o7777 == mode
    assert mode & 0o222 == 0


FAILURES = {
    "a program": (ProcessError("mke2fs failed"), ProcessError, "mke2fs failed"),
    "an image": (ImageError("no", "do"), ImageError, "no; do"),
    "ours": (ZeroDivisionError("a bug"), ZeroDivisionError, "a bug"),
    "Ctrl-C": (KeyboardInterrupt(), KeyboardInterrupt, ""),
    "the disk": (OSError(errno.EIO, "Input/output error"), ImageError, "{target}: Input/output error"),
}


def fail_half_way(target: Path, error: BaseException) -> None:
    with publish(target) as draft:
        draft.write_text("half")
        raise error


@pytest.mark.parametrize(("error", "expected", "message"), FAILURES.values(), ids=FAILURES)
def test_failure_leaves_what_was_there(
    error: BaseException, expected: type[BaseException], message: str, tmp_path: Path
) -> None:
    target = tmp_path / "root.img"
    publish_text(target, "old")
    before = target.stat()
    with pytest.raises(expected, match=f"^{re.escape(message.format(target=target))}$"):
        fail_half_way(target, error)
    assert names(tmp_path) == ["root.img"]
    assert target.read_text() == "old"
    assert os.path.samestat(target.stat(), before)


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"^{tmp_path}/source: No such file or directory$"), publish(tmp_path / "a"):
        (tmp_path / "source").read_bytes()


def test_a_draft_that_nobody_wrote(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"^{tmp_path}/a: nothing was written to it$"), publish(tmp_path / "a"):
        pass
    publish_text(tmp_path / "a", "")
    assert (tmp_path / "a").read_bytes() == b""


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_draft_is_for_its_owner_alone(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with publish(tmp_path / "new/a", mode=PUBLIC) as draft:
            modes = [draft.stat().st_mode & 0o777]
            draft.write_text("x")
            modes.append(draft.stat().st_mode & 0o777)
    finally:
        os.umask(before)
    assert modes == [0o600, 0o600]
    assert (tmp_path / "new/a").stat().st_mode & 0o777 == PUBLIC
    assert (tmp_path / "new").stat().st_mode & 0o022 == 0


def test_a_link_of_another_user_is_not_followed(tmp_path: Path) -> None:
    need_root()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "folder").symlink_to("theirs")
    (tmp_path / "mine").symlink_to(tmp_path / "folder")
    publish_text(tmp_path / "mine/a", "followed")
    os.chown(tmp_path / "folder", 65534, 65534, follow_symlinks=False)
    for place in ("folder/a", "folder/new/a", "mine/a"):
        with pytest.raises(ImageError, match=f"^{tmp_path}/folder: a symbolic link that belongs to user 'nobody'"):
            publish_text(tmp_path / place, "not followed")
    with pytest.raises(ImageError):
        sweep(tmp_path / "folder")
    assert {path.name: path.read_text() for path in (tmp_path / "theirs").iterdir()} == {"a": "followed"}
    os.chown(tmp_path, 65534, 65534)  # whose link it is made the folder, too
    publish_text(tmp_path / "folder/b", "followed")


def test_links_without_an_end(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(ImageError, match=r"Too many levels of symbolic links|File exists"):
        publish_text(tmp_path / "a/file", "")


def test_where_a_file_is_in_the_way_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "build").write_text("")
    with pytest.raises(ImageError, match=f"^{tmp_path}/build.*: (Not a directory|File exists)$"):
        publish_text(tmp_path / "build/guests/root.img", "")


def test_where_a_folder_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "root.img").mkdir()
    with pytest.raises(ImageError, match=f"^{tmp_path}/root.img: Is a directory$"):
        publish_text(tmp_path / "root.img", "")
    assert names(tmp_path) == ["root.img"]


def test_a_symlink_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("somebody's")
    (tmp_path / "a").symlink_to("elsewhere")
    publish_text(tmp_path / "a", "ours")
    assert (tmp_path / "elsewhere").read_text() == "somebody's"
    assert not (tmp_path / "a").is_symlink()


def test_link_is_another_name(tmp_path: Path) -> None:
    publish_text(tmp_path / "vmlinuz", "kernel")
    publish_link(tmp_path / "guest" / "vmlinuz", tmp_path / "vmlinuz")
    assert (tmp_path / "guest/vmlinuz").samefile(tmp_path / "vmlinuz")


@pytest.mark.parametrize("number", [errno.EMLINK, errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP])
def test_link_is_a_copy_where_there_can_be_none(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    publish_text(tmp_path / "vmlinuz", "kernel")
    publish_link(tmp_path / "guest" / "vmlinuz", tmp_path / "vmlinuz")
    assert (tmp_path / "guest/vmlinuz").read_text() == "kernel"
    assert not (tmp_path / "guest/vmlinuz").samefile(tmp_path / "vmlinuz")
    assert (tmp_path / "guest/vmlinuz").stat().st_mode & 0o7777 == PUBLIC


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    for name in (".root.img.draft-01234567", ".root.img", "root.img", "draft-of-mine", ".profile"):
        (tmp_path / name).write_text("")
    sweep(tmp_path)
    assert names(tmp_path) == [".profile", ".root.img", "draft-of-mine", "root.img"]
