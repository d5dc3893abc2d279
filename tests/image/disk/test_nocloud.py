"""Seeds, as blkid and mtools see them. `tests/boot` has one read by cloud-init itself."""

import stat
from pathlib import Path

import pytest

from pipeline import process
from pipeline.errors import ImageError
from pipeline.image.disk import nocloud as nocloud_disk
from tests.machine import need_programs, run

DOCUMENTS = {"meta-data": "instance-id: a\n", "network-config": "version: 2\n", "user-data": "#cloud-config\nä: 1\n"}


@pytest.fixture(autouse=True)
def programs() -> None:
    need_programs("mkfs.vfat", "mcopy", "mtype", "mdir", "blkid", "fsck.vfat")


def test_what_is_in_it(tmp_path: Path) -> None:
    image = tmp_path / "seed.img"
    nocloud_disk.build(image, DOCUMENTS, 0x4708BD44)
    found = dict(line.split("=", 1) for line in run("blkid", "-p", "-o", "export", image).splitlines())
    assert (found["TYPE"], found["LABEL"], found["UUID"]) == ("vfat", "cidata", "4708-BD44")
    for name, text in DOCUMENTS.items():
        assert run("mtype", "-i", image, f"::/{name}") == text
    run("fsck.vfat", "-n", image)
    assert image.stat().st_size == nocloud_disk.SIZE
    assert stat.S_IMODE(image.stat().st_mode) == 0o400
    assert list(tmp_path.iterdir()) == [image]


def test_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, zone in (("a", "Europe/Berlin"), ("b", "UTC")):
        monkeypatch.setenv("TZ", zone)
        nocloud_disk.build(tmp_path / name, DOCUMENTS, 1)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_more_than_it_holds(tmp_path: Path) -> None:
    much = "a" * (nocloud_disk.SIZE - nocloud_disk.SIZE // 16 - sum(map(len, DOCUMENTS.values())) - 8)
    nocloud_disk.build(tmp_path / "full", {**DOCUMENTS, "vendor-data": much}, 1)
    with pytest.raises(ImageError, match="a seed has room for 960K; give its users fewer keys"):
        nocloud_disk.build(tmp_path / "seed.img", {**DOCUMENTS, "vendor-data": much + "a" * 64}, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


def test_programs_that_are_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "available", lambda name: name != "mcopy")
    with pytest.raises(ImageError, match="mcopy is not installed; a guest with identity: cloud-init needs it"):
        nocloud_disk.build(tmp_path / "seed.img", DOCUMENTS, 1)
    assert list(tmp_path.iterdir()) == []
