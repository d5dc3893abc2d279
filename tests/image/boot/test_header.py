"""Headers, as partitioning programs and mtools see them. `tests/boot` has them booted."""

import json
from pathlib import Path, PurePosixPath
from uuid import UUID

import pytest

from pipeline import process
from pipeline.errors import ImageError
from pipeline.image.boot import grub, header
from pipeline.image.boot.header import Settings
from tests.machine import need, need_programs, run

MIB = 1 << 20
ROOT = UUID("aaaaaaaa-1111-4222-8333-444444444444")


@pytest.fixture(autouse=True)
def grub_is_installed() -> None:
    need_programs("grub-mkimage", "mkfs.vfat", "mcopy", "sfdisk")
    for platform in ("i386-pc", "x86_64-efi"):
        need(Path("/usr/lib/grub", platform, "kernel.img").exists(), f"GRUB for {platform}")


def partitions(image: Path) -> list[tuple[str, int, int]]:
    """Type, first sector and number of sectors of each."""
    table = json.loads(run("sfdisk", "--json", image))["partitiontable"]
    assert table["label"] == "dos"
    return [(each["type"], each["start"], each["size"]) for each in table.get("partitions", [])]


@pytest.mark.parametrize(
    ("root_size", "uefi", "expected"),
    [
        (64 * MIB, False, [("83", 2048, 131072)]),
        (64 * MIB, True, [("83", 8192, 131072), ("ef", 2048, 6144)]),
        (None, False, []),
        (None, True, [("ef", 2048, 6144)]),
        (header.MOST, True, [("83", 8192, (1 << 32) - 8192), ("ef", 2048, 6144)]),
    ],
)
def test_partitions(tmp_path: Path, root_size: int | None, uefi: bool, expected: list[tuple[str, int, int]]) -> None:
    image = tmp_path / "header.img"
    header.build(image, Settings(root_uuid=ROOT, uefi=uefi), root_size=root_size)
    assert image.stat().st_size == header.size(uefi=uefi)
    image.chmod(0o600)
    with image.open("r+b") as file:  # as it is with the root disk behind it
        file.truncate(header.size(uefi=uefi) + (root_size or 0))
    assert partitions(image) == expected


def test_a_root_disk_that_no_partition_holds(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=f"more than {header.MOST} bytes"):
        header.build(tmp_path / "header.img", Settings(root_uuid=ROOT), root_size=header.MOST + MIB)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("uefi", [False, True])
def test_the_same_bytes(tmp_path: Path, uefi: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    header.build(one, Settings(root_uuid=ROOT, uefi=uefi), root_size=MIB)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    header.build(other, Settings(root_uuid=ROOT, uefi=uefi), root_size=MIB)
    assert one.read_bytes() == other.read_bytes()


def test_uefi_finds_its_program(tmp_path: Path) -> None:
    image = tmp_path / "header.img"
    header.build(image, Settings(root_uuid=ROOT, uefi=True), root_size=MIB)
    run("mcopy", "-i", f"{image}@@1M", "::/EFI/BOOT/BOOTX64.EFI", tmp_path / "program")
    program = (tmp_path / "program").read_bytes()
    assert program.startswith(b"MZ")
    assert program == grub.for_uefi(grub.script(ROOT))
    with image.open("rb") as file:
        file.seek(MIB)
        (tmp_path / "system").write_bytes(file.read())
    run("fsck.vfat", "-n", tmp_path / "system")


def test_grub_reads_its_script(tmp_path: Path) -> None:
    need_programs("grub-script-check")
    script = grub.script(ROOT, ["quiet", 'a=\'b "c" $d'], grub.Kernel(PurePosixPath("/it's/$x"), PurePosixPath("/a b")))
    (tmp_path / "script").write_text(script)
    run("grub-script-check", tmp_path / "script")
    assert f"root=UUID={ROOT} ro 'quiet' 'a='\\''b \"c\" $d'" in script


def test_without_grub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "available", lambda _: False)
    with pytest.raises(ImageError, match=r"GRUB is not installed.*grub-common and grub-pc-bin"):
        header.build(tmp_path / "header.img", Settings(root_uuid=ROOT), root_size=MIB)
    monkeypatch.undo()
    monkeypatch.setattr(grub, "_FOLDERS", [str(tmp_path)])
    with pytest.raises(ImageError, match=r"no i386-pc/kernel.img.*grub-pc-bin"):
        header.build(tmp_path / "header.img", Settings(root_uuid=ROOT), root_size=MIB)
    assert grub.version().startswith("grub-mkimage")
