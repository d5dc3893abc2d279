"""Disks for guests' own data: what e2fsprogs and blkid see in them."""

from pathlib import Path
from uuid import UUID

import pytest

from pipeline.errors import ImageError
from pipeline.image.disk import data as data_disk
from tests.image import images
from tests.image.images import FILE_SYSTEMS, MIB
from tests.machine import run

UUID_OF_DISK = UUID("77777777-2222-4333-8444-555555555555")


@pytest.mark.parametrize("filesystem", FILE_SYSTEMS)
@pytest.mark.parametrize("allocate", [False, True], ids=["sparse", "full"])
def test_what_is_in_it(filesystem: str, allocate: bool, tmp_path: Path) -> None:
    image = tmp_path / "data.img"
    data_disk.build(image, 16 * MIB, filesystem, UUID_OF_DISK, label="the-data", allocate=allocate)
    images.check(image)
    expected = {"TYPE": filesystem, "UUID": str(UUID_OF_DISK), "LABEL": "the-data"}
    assert images.blkid(image).items() >= expected.items()
    assert image.stat().st_size == 16 * MIB == int(images.header(image)["Block count"]) * 4096
    assert images.names(image, "") == ["lost+found"]
    assert images.is_sparse(image) is not allocate


def test_zeros_alone(tmp_path: Path) -> None:
    image = tmp_path / "raw.img"
    data_disk.build(image, 2 * MIB, None, UUID_OF_DISK)
    assert image.read_bytes() == bytes(2 * MIB)
    assert images.is_sparse(image)
    full = tmp_path / "full.img"
    data_disk.build(full, 2 * MIB, None, UUID_OF_DISK, allocate=True)
    assert not images.is_sparse(full)
    run("cmp", image, full)


@pytest.mark.parametrize("allocate", [False, True], ids=["sparse", "full"])
def test_same_bytes_at_any_time(tmp_path: Path, allocate: bool) -> None:
    for name in ("first", "second"):
        data_disk.build(tmp_path / name, 16 * MIB, "ext4", UUID_OF_DISK, label="-n", allocate=allocate)
    run("cmp", tmp_path / "first", tmp_path / "second")
    assert images.blkid(tmp_path / "first")["LABEL"] == "-n"


def test_without_a_label(tmp_path: Path) -> None:
    data_disk.build(tmp_path / "data.img", 16 * MIB, "ext4", UUID_OF_DISK)
    assert "LABEL" not in images.blkid(tmp_path / "data.img")


def test_too_small_for_a_journal(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"data\.img: too small for ext4's journal; give it a larger size, or ext2"):
        data_disk.build(tmp_path / "data.img", MIB, "ext4", UUID_OF_DISK)
    assert not list(tmp_path.iterdir())
