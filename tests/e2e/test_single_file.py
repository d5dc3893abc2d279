"""A root disk as a whole disk in one file, raw or as a VMDK: only when it is asked for, and like any other artifact."""

import json
import struct
from pathlib import Path

import pytest

from pipeline.errors import ImageError
from pipeline.image.boot import stream_vmdk
from pipeline.image.files import digest
from tests.e2e.conftest import Workshop
from tests.machine import need_programs, run

WHOLE, VMDK = "disk:deb01:whole", "vmdk:deb01"
MIB = 1 << 20


@pytest.fixture
def farm(workshop: Workshop) -> Workshop:
    """The tiny farm, built; deb01 is for Xen and VMware."""
    need_programs("qemu-img", "grub-mkimage")
    workshop.change_list("10.0.0.11/24}", "10.0.0.11/24, hypervisors: [xen, vmware]}")
    workshop.doit()
    return workshop


def test_both(farm: Workshop) -> None:
    assert farm.doit(WHOLE, VMDK).executed == [WHOLE, VMDK]
    folder = farm.path("guests/deb01")
    whole, packed, disk = folder / "whole.img", folder / "deb01.stream.vmdk", folder / "deb01.vmdk"
    run("qemu-img", "check", "-f", "vmdk", packed)
    run("qemu-img", "compare", "-f", "vmdk", "-F", "vmdk", packed, disk)
    run("qemu-img", "compare", "-f", "raw", "-F", "vmdk", whole, disk)
    assert whole.stat().st_size == 17 * MIB
    assert whole.stat().st_blocks * 512 < 2 * MIB
    (partition,) = json.loads(run("sfdisk", "--json", whole))["partitiontable"]["partitions"]
    assert (partition["start"], partition["size"], partition["bootable"]) == (2048, 16 * MIB // 512, True)
    run("e2fsck", "-fn", f"{whole}?offset={MIB}")
    assert {file.stat().st_mode & 0o777 for file in (whole, packed)} == {0o400}  # there are secrets in root disks
    told = json.loads(run("qemu-img", "info", "--output=json", packed))["format-specific"]["data"]
    number = int(disk.read_text().partition("CID=")[2][:8], 16)
    assert (told["create-type"], told["cid"]) == ("streamOptimized", number)
    assert 'SPARSE "deb01.stream.vmdk"' in descriptor_in(packed)


def test_whatever_number_qemu_img_draws(farm: Workshop) -> None:
    """Its content IDs have one digit less in one of sixteen cases, and then what follows them is at other places."""
    disk, target = farm.path("guests/deb01/deb01.vmdk"), farm.path("guests/deb01/new.vmdk")
    made = set()
    for _ in range(40):
        stream_vmdk.build(disk, target, hardware=10)
        made.add(digest.of_file(target))
    assert len(made) == 1
    assert descriptor_in(target).endswith('"\n')


def test_the_same_bytes_again(farm: Workshop) -> None:
    farm.doit(WHOLE, VMDK)
    files = [farm.path(f"guests/deb01/{name}") for name in ("whole.img", "deb01.stream.vmdk")]
    before = list(map(digest.of_file, files))
    farm.doit("clean", WHOLE, VMDK)
    assert not any(file.exists() for file in files)
    assert farm.doit(WHOLE, VMDK).executed == [WHOLE, VMDK]
    assert list(map(digest.of_file, files)) == before


def test_made_when_they_are_asked_for_and_not_before(farm: Workshop) -> None:
    assert farm.doit().executed == []
    assert farm.doit("disk").executed == []
    for command in ("status", "why", "plan", "graph --dot"):
        said = farm.doit(*command.split()).output
        assert "vmdk" not in said.replace("deb01.vmdk", ""), command
        assert "whole" not in said, command
    assert "doit vmdk:deb01 makes it\n" in farm.doit("why", VMDK).output
    assert "1 artifact to build" in farm.doit("plan", WHOLE).output
    assert VMDK in farm.doit("list", "--all").output
    assert farm.doit("vmdk").executed == [VMDK]


def test_stale_when_the_disk_is(farm: Workshop) -> None:
    farm.doit(WHOLE, VMDK)
    assert farm.doit(WHOLE, VMDK).executed == []
    farm.change_list("hypervisors: [xen", "memory: 1G, hypervisors: [xen")
    assert farm.doit(WHOLE, VMDK).executed == ["config:deb01"]
    farm.change_list("10.0.0.11/24", "10.0.0.9/24")
    assert farm.doit().executed == ["root:deb01"]
    row = next(line for line in farm.doit("status").output.splitlines() if line.startswith("deb01"))
    assert row.split()[:7] == ["deb01", "fresh", "fresh", "fresh", "fresh", "stale", "stale"]
    assert "nothing to build" in farm.doit("plan").output
    assert farm.doit(WHOLE, VMDK).executed == [WHOLE, VMDK]
    farm.change_list("hypervisors: [xen", "extra: quiet, hypervisors: [xen")
    assert farm.doit(WHOLE, VMDK).executed == [WHOLE, "header:deb01", "config:deb01", VMDK]


def test_what_makes_no_sense_is_one_line(farm: Workshop) -> None:
    farm.change_list("10.0.0.12/24}", "10.0.0.12/24, kernel: /boot/vmlinuz}")
    for task, line in (
        ("vmdk:deb02", "guest 'deb02' is not for VMware, and so has no VMDK; add vmware to its hypervisors\n"),
        (
            "disk:deb02:whole",
            "guest 'deb02' boots a kernel of its host, so disk:deb02:whole would not boot; say 'kernel: none'\n",
        ),
    ):
        said = farm.doit(task, check=False)
        assert (said.code, said.output) == (2, line)


@pytest.mark.parametrize(
    ("break_it", "line"),
    [
        (Path.unlink, "is a disk of root.img, which is not beside it; move both together, or build anew"),
        (lambda file: file.write_bytes(bytes(MIB)), "and that has 1048576; build both anew"),
    ],
)
def test_a_descriptor_whose_files_are_gone(farm: Workshop, break_it: object, line: str) -> None:
    folder = farm.path("guests/deb01")
    root = folder / "root.img"
    root.chmod(0o600)
    assert callable(break_it)
    break_it(root)
    with pytest.raises(ImageError) as caught:
        stream_vmdk.build(folder / "deb01.vmdk", folder / "new.vmdk", hardware=10)
    assert str(caught.value).endswith(line)
    assert not (folder / "new.vmdk").exists()


def test_allocated_in_full(workshop: Workshop) -> None:
    need_programs("grub-mkimage")
    workshop.change_list("10.0.0.11/24}", "10.0.0.11/24, root: {size: 16M, allocate: full}, firmware: uefi, xen: hvm}")
    workshop.doit(WHOLE)
    whole = workshop.path("guests/deb01/whole.img")
    assert whole.stat().st_size == 20 * MIB  # an EFI system partition comes first
    assert whole.stat().st_blocks * 512 >= 20 * MIB


def descriptor_in(packed: Path) -> str:
    """The text in a VMDK, see VMware's Virtual Disk Format 5.0."""
    data = packed.read_bytes()
    offset, sectors = struct.unpack_from("<QQ", data, 28)
    return data[offset * 512 : (offset + sectors) * 512].rstrip(b"\0").decode()


def test_a_task_of_the_user_asks_for_it(farm: Workshop) -> None:
    with (farm.folder / "dodo.py").open("a") as dodo:
        dodo.write(f"\n\ndef task_mine():\n    return {{'actions': None, 'task_dep': ['{VMDK}']}}\n")
    assert farm.doit().executed == [VMDK]
    assert farm.doit().executed == []
