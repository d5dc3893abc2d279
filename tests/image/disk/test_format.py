"""Empty file systems: ours alone say what is in them, whatever the host is set to."""

import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.errors import ImageError, ProcessError
from pipeline.image.disk import base
from pipeline.image.ext import e2fsprogs
from tests.image import images
from tests.image.images import FILE_SYSTEMS, MIB, UUID_OF_BASES
from tests.machine import run

GIB = 1 << 30

# What kernels since 4.4, GRUB before 2.12 and pygrub can read; the first line is what all three have.
COMMON = {"ext_attr", "resize_inode", "dir_index", "filetype", "sparse_super", "large_file"}
FEATURES = {
    "ext2": COMMON,
    "ext3": COMMON | {"has_journal"},
    "ext4": COMMON
    | {"has_journal", "extent", "flex_bg", "64bit", "huge_file", "dir_nlink", "extra_isize"}
    | {"metadata_csum", "metadata_csum_seed"},
}
FOREIGN = """\
[defaults]
    base_features = filetype
    blocksize = 1024
    inode_size = 128
[fs_types]
    ext2 = {
        features = encrypt
    }
    ext4 = {
        features = orphan_file,casefold
    }
"""


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
@pytest.mark.parametrize("size", [12 * MIB, 600 * MIB, 5 * GIB], ids=["small", "default", "large"])
def test_features_are_ours(filesystem: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configuration = tmp_path / "mke2fs.conf"
    configuration.write_text(FOREIGN)
    monkeypatch.setenv("MKE2FS_CONFIG", str(configuration))
    image = images.formatted(tmp_path, filesystem, size)
    images.check(image)
    header = images.header(image)
    assert set(header["Filesystem features"].split()) == FEATURES[filesystem]
    assert (header["Block size"], header["Inode size"]) == ("4096", "256")
    assert int(header["Block count"]) * 4096 == size
    assert header["Default mount options"] == "user_xattr acl"
    assert (header["Maximum mount count"], header["Check interval"]) == ("-1", "0 (<none>)")
    assert header["Filesystem state"] == "clean"


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
def test_identity(filesystem: str, tmp_path: Path) -> None:
    image = images.formatted(tmp_path, filesystem)
    assert images.blkid(image).items() >= {"UUID": str(UUID_OF_BASES), "TYPE": filesystem}.items()
    assert images.header(image)["Directory Hash Seed"] == str(UUID_OF_BASES)
    assert images.names(image, "") == ["lost+found"]
    assert "Mode:  0755" in images.stat(image, "")
    assert "User:     0   Group:     0" in images.stat(image, "")


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
@pytest.mark.parametrize("allocate", [False, True], ids=["sparse", "full"])
def test_same_bytes_at_any_time(filesystem: str, allocate: bool, tmp_path: Path) -> None:
    built = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        built.append(images.formatted(tmp_path / name, filesystem, allocate=allocate))
    run("cmp", *built)


def test_sparse_and_full_hold_the_same(tmp_path: Path) -> None:
    for name in ("sparse", "full"):
        (tmp_path / name).mkdir()
        images.formatted(tmp_path / name, "ext4", allocate=name == "full")
    fields = [images.header(tmp_path / name / "ext4.format") for name in ("sparse", "full")]
    assert fields[0] == fields[1]


@pytest.mark.parametrize("filesystem", ["ext3", "ext4"])
def test_too_small_for_a_journal(filesystem: str, tmp_path: Path) -> None:
    zeros = images.sparse(tmp_path / "zeros", 4 * MIB)
    with pytest.raises(ImageError, match=f"too small for {filesystem}'s journal; give it a larger size, or ext2"):
        base.format(zeros, tmp_path / "image", filesystem, UUID(int=1), allocate=False)
    assert [path.name for path in tmp_path.iterdir()] == ["zeros"]


def test_too_small_for_anything(tmp_path: Path) -> None:
    zeros = images.sparse(tmp_path / "zeros", 4096)
    with pytest.raises(ProcessError, match=r"(?s)mke2fs failed with exit code 1:.*Not enough space"):
        base.format(zeros, tmp_path / "image", "ext2", UUID(int=1), allocate=False)
    assert [path.name for path in tmp_path.iterdir()] == ["zeros"]


def test_check_says_what_e2fsck_found(tmp_path: Path) -> None:
    image = images.formatted(tmp_path)
    image.chmod(0o600)
    run("debugfs", "-w", "-R", "set_inode_field / links_count 7", image)
    with pytest.raises(ImageError, match="Inode 2 ref count is 7, should be 3") as caught:
        e2fsprogs.check(image)
    assert caught.value.hint == f"repair it with: e2fsck -f {image}"


def test_index_corrects_nothing(tmp_path: Path) -> None:
    image = images.formatted(tmp_path)
    image.chmod(0o600)
    run("debugfs", "-w", "-R", "set_inode_field / links_count 7", image)
    with pytest.raises(ProcessError, match="e2fsck failed with exit code 1"):
        e2fsprogs.index(image)


# What e2fsck 1.47.0 printed when fsync(2) failed.
_E2FSCK = """\
#!/bin/sh
echo 'i: Error writing file system info: Input/output error'
printf '\\n\\ni: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.\\n\\t(i.e., without -a or -p options)\\n' >&2
exit 4
"""
_UNREADABLE = """\
#!/bin/sh
echo 'e2fsck 1.47.0 (5-Feb-2023)' >&2
echo "e2fsck: Attempt to read block from filesystem resulted in short read while trying to open i" >&2
echo 'Could this be a zero-length partition?'
exit 8
"""


@pytest.mark.parametrize(
    ("program", "work", "message"),
    [
        (
            _E2FSCK,
            e2fsprogs.index,
            "e2fsck failed with exit code 4: Input/output error\n"
            "  i: Error writing file system info: Input/output error\n"
            "  i: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.\n  \t(i.e., without -a or -p options)",
        ),
        (
            _E2FSCK,
            e2fsprogs.repair,
            "disk.img: e2fsck cannot check the file system: Input/output error\n"
            "  i: Error writing file system info: Input/output error",
        ),
        *(
            (
                _UNREADABLE,
                work,
                "disk.img: e2fsck cannot check the file system (exit code 8):\n"
                "  Could this be a zero-length partition?\n"
                "  e2fsck: Attempt to read block from filesystem resulted in short read while trying to open i",
            )
            for work in (e2fsprogs.check, e2fsprogs.inspect, e2fsprogs.repair)
        ),
    ],
)
def test_a_disk_that_fails_is_the_cause(
    program: str, work: Callable[[Path], None], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "e2fsck").write_text(program)
    (tmp_path / "e2fsck").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises((ImageError, ProcessError)) as caught:
        work(Path("disk.img"))
    assert caught.value.message == message
    assert ("e2fsck -f" in caught.value.hint) == ("Input/output" not in message)


def test_version_names_the_program() -> None:
    assert e2fsprogs.version().startswith("mke2fs 1.")
