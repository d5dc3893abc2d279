"""Swap disks, as blkid and swapon see them."""

import struct
from pathlib import Path
from uuid import UUID

import pytest

from pipeline.errors import ProcessError
from pipeline.image.disk import swap
from tests.image import images
from tests.image.images import MIB
from tests.machine import run

UUID_OF_SWAP = UUID("99999999-8888-4777-a666-555555555555")


@pytest.mark.parametrize("size", [MIB, 512 * MIB, 4 * 1024 * MIB])
def test_what_blkid_says(size: int, tmp_path: Path) -> None:
    image = tmp_path / "swap.img"
    swap.build(image, size, UUID_OF_SWAP)
    said = images.blkid(image)
    assert (said["TYPE"], said["UUID"], said["USAGE"]) == ("swap", str(UUID_OF_SWAP), "other")
    assert "LABEL" not in said
    assert image.stat().st_size == size
    # swap_header_v1_2 of linux/swap.h: the version, and the last page, after 1024 bytes for boot loaders.
    with image.open("rb") as file:
        version, last_page = struct.unpack("<II", file.read(1032)[1024:])
    assert (version, last_page) == (1, size // 4096 - 1)


def test_same_bytes_at_any_time(tmp_path: Path) -> None:
    for name in ("first", "second"):
        swap.build(tmp_path / name, MIB, UUID_OF_SWAP)
    run("cmp", tmp_path / "first", tmp_path / "second")


@pytest.mark.parametrize("size", [MIB, MIB + 4097, 4 * 1024 * MIB])
def test_the_second_of_a_size_is_what_mkswap_makes(size: int, tmp_path: Path) -> None:
    swap.build(tmp_path / "first", size, UUID("11111111-2222-4333-8444-555555555555"))
    swap.build(tmp_path / "second", size, UUID_OF_SWAP)
    with (tmp_path / "by hand").open("wb") as file:
        file.truncate(size)
    run("mkswap", "--pagesize", "4096", "--uuid", str(UUID_OF_SWAP), tmp_path / "by hand")
    # cmp would read all of the holes.
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", tmp_path / "second", tmp_path / "by hand")


def test_too_small(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="mkswap failed with exit code 1"):
        swap.build(tmp_path / "swap.img", 4096, UUID_OF_SWAP)
    assert not list(tmp_path.iterdir())


def test_version_names_the_program() -> None:
    assert swap.version().startswith("mkswap from util-linux 2.")
