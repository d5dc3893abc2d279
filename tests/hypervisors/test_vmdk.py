"""VMDK descriptors, as QEMU reads them."""

import json
from pathlib import Path, PurePath

import pytest

from pipeline.hypervisors import vmdk
from pipeline.hypervisors.vmdk import Extent
from tests.machine import need_programs, run

MIB = 1 << 20


def test_is_what_its_extents_are(tmp_path: Path) -> None:
    need_programs("qemu-img")
    head, tail = bytes(range(256)) * 4096, bytes(range(255, -1, -1)) * 12288
    (tmp_path / "head of it.img").write_bytes(head)
    (tmp_path / "tail, really.img").write_bytes(tail)
    (tmp_path / "whole.img").write_bytes(head + tail)
    disk = tmp_path / "disk.vmdk"
    files = [Extent(PurePath("head of it.img"), len(head)), Extent(PurePath("tail, really.img"), len(tail))]
    disk.write_text(vmdk.descriptor(files))
    information = json.loads(run("qemu-img", "info", "--output=json", disk))
    assert (information["format"], information["virtual-size"]) == ("vmdk", len(head + tail))
    assert information["format-specific"]["data"]["create-type"] == "twoGbMaxExtentFlat"
    run("qemu-img", "check", "-f", "vmdk", disk)
    run("qemu-img", "compare", "-f", "vmdk", "-F", "raw", disk, tmp_path / "whole.img")
    (tmp_path / "tail, really.img").rename(tmp_path / "elsewhere")
    run("qemu-img", "info", disk, codes=(1,))


def test_a_number_of_its_own() -> None:
    one, other = (vmdk.descriptor([Extent(PurePath(name), MIB)]) for name in ("a.img", "b.img"))
    assert one == vmdk.descriptor([Extent(PurePath("a.img"), MIB)])
    assert [line for line in one.splitlines() if line.startswith("CID=")] != [
        line for line in other.splitlines() if line.startswith("CID=")
    ]


@pytest.mark.parametrize(
    ("size", "geometry"),
    [(64 * MIB, (64, 64, 32)), (1023 * MIB, (1023, 64, 32)), (2049 * MIB, (261, 255, 63))],
)
def test_geometry(size: int, geometry: tuple[int, int, int]) -> None:
    lines = vmdk.descriptor([Extent(PurePath("root.img"), size)]).splitlines()
    names = ("cylinders", "heads", "sectors")
    for name, value in zip(names, geometry, strict=True):
        assert f'ddb.geometry.{name} = "{value}"' in lines
