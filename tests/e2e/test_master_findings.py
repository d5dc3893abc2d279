"""What is found out about masters when they are read, and what is said of it: once, and in one line."""

import pytest

from tests.e2e.conftest import TINY_MASTER, Workshop
from tests.image import images
from tests.image.layer.test_findings import elf
from tests.machine import run

MODULES = "lib/modules/6.1"
CLOUD = {
    "lib": None,
    "lib/modules": None,
    MODULES: None,
    f"{MODULES}/modules.builtin": b"kernel/drivers/block/virtio_blk.ko\n",
    f"{MODULES}/xen-blkfront.ko": b"of no driver of disks, by its place",
}
BLKFRONT = f"{MODULES}/kernel/drivers/block/xen-blkfront.ko"
LINE = "has no driver for disks under"
HINT = "install another in the master, as Debian's linux-image-amd64"


@pytest.fixture
def cloud(workshop: Workshop) -> Workshop:
    """The tiny farm, whose kernel has virtio_blk alone, for all that Xen and libvirt make of it."""
    workshop.write_master(CLOUD)
    workshop.change_list("host_keys: first-boot", "hypervisors: [xen, libvirt]")
    workshop.change_list("10.0.0.12/24", "10.0.0.12/24, xen: hvm")
    return workshop


def warnings(workshop: Workshop, *arguments: str) -> list[str]:
    return [line for line in workshop.doit(*arguments).output.splitlines() if "warning: " in line]


def test_a_kernel_without_a_driver(cloud: Workshop) -> None:
    assert warnings(cloud, "list") == []  # nobody knows yet
    place = "guests.yaml:8:16: warning: defaults: the kernel of master 'debian'"
    told = [f"{place} {LINE} xen, as xen-blkfront; {HINT}"]
    assert warnings(cloud) == told
    assert warnings(cloud) == told
    assert warnings(cloud, "status") == told
    cloud.write_master({**CLOUD, **dict.fromkeys(folders(BLKFRONT)), BLKFRONT: b""})
    assert warnings(cloud) == told  # as it is before the run
    assert warnings(cloud) == []


def test_a_kernel_of_the_host_is_not_judged(cloud: Workshop) -> None:
    cloud.change_list("hypervisors: [xen, libvirt]", "kernel: /boot/vmlinuz")
    cloud.change_list(", xen: hvm", "")
    cloud.doit()
    assert warnings(cloud) == []


def test_an_image(cloud: Workshop) -> None:
    files = {**TINY_MASTER, **CLOUD}
    tree = cloud.folder / "tree"
    for name, data in files.items():
        (tree / name).mkdir(parents=True) if data is None else (tree / name).write_bytes(data)
    images.handmade(cloud.folder / "root.img", "-t", "ext4", "-d", str(tree), size=images.MIB * 16)
    cloud.change_list("{tar: debian.tar}", "{image: root.img}")
    cloud.doit()
    assert [LINE in line for line in warnings(cloud)] == [True]
    (tree / "bin/sh").write_bytes(elf(183))
    run("debugfs", "-w", "-R", "rm bin/sh", cloud.folder / "root.img")
    run("debugfs", "-w", "-R", f"write {tree}/bin/sh bin/sh", cloud.folder / "root.img")
    assert "its programs are for arm64" in cloud.doit(check=False).output


def test_a_master_for_another_machine(workshop: Workshop) -> None:
    workshop.write_master({"bin/sh": elf(183)})
    said = workshop.doit(check=False)
    assert said.code == 1
    line = "master 'debian': its programs are for arm64, and guests are x86-64 machines; take the amd64 build of it"
    assert line in said.output
    assert "Traceback" not in said.output
    workshop.write_master({"bin/sh": elf(62)})
    workshop.doit()


def folders(path: str) -> list[str]:
    """The folders above `path`."""
    parts = path.split("/")
    return ["/".join(parts[:number]) for number in range(1, len(parts))]
