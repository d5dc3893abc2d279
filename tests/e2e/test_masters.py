"""Masters of every kind, and the kernels that guests boot, in real doit runs."""

import gzip
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import TINY_MASTER, Workshop, write_tar
from tests.layouts import Layout, layer
from tests.machine import need_programs, run

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


def packed(suffix: str, compress: Callable[[bytes], bytes]) -> Callable[[Workshop], str]:
    def make(workshop: Workshop) -> str:
        path = workshop.folder / "debian.tar"
        path.with_suffix(f".tar.{suffix}").write_bytes(compress(path.read_bytes()))
        return f"tar: debian.tar.{suffix}"

    return make


def directory(workshop: Workshop) -> str:
    unpack(workshop)
    return "directory: rootfs"


def image(workshop: Workshop) -> str:
    unpack(workshop)
    path = workshop.folder / "rootfs.img"
    with path.open("wb") as file:
        file.truncate(8 << 20)
    command: list[str | Path] = ["mke2fs", "-q", "-t", "ext4", "-d", workshop.folder / "rootfs", path]
    subprocess.run(command, check=True)
    return "image: rootfs.img"


def unpack(workshop: Workshop) -> None:
    for name, data in TINY_MASTER.items():
        path = workshop.folder / "rootfs" / name
        path.mkdir(parents=True) if data is None else path.write_bytes(data)


def oci(workshop: Workshop) -> str:
    layout = Layout(workshop.folder / "layout")
    below = (workshop.folder / "debian.tar").read_bytes()
    layout.write(layout.image([below, layer(("./etc/issue", b"above"))], {"+gzip": gzip.compress}))
    return "oci: layout"


def cloud(workshop: Workshop) -> str:
    need_programs("sfdisk", "qemu-img")
    image(workshop)
    run("truncate", "--size=10M", workshop.folder / "disk.img")
    (workshop.folder / "table").write_text("label: gpt\nstart=1MiB, size=8MiB\n")
    run("sh", "-c", 'sfdisk -q "$1" <"$2"', "sh", workshop.folder / "disk.img", workshop.folder / "table")
    with (workshop.folder / "disk.img").open("r+b") as file:
        file.seek(1 << 20)
        file.write((workshop.folder / "rootfs.img").read_bytes())
    run("qemu-img", "convert", "-O", "qcow2", workshop.folder / "disk.img", workshop.folder / "disk.qcow2")
    return "cloud: disk.qcow2"


KINDS = {
    "tar": lambda _: "tar: debian.tar",
    "tar.gz": packed("gz", gzip.compress),
    "tar.xz": packed("xz", lzma.compress),
    "tar.zst": packed("zst", zstd.compress),
    "directory": directory,
    "image": image,
    "oci": oci,
    "cloud": cloud,
}


def inside(image: Path, path: str) -> str:
    completed = subprocess.run(["debugfs", "-R", f"cat {path}", image], capture_output=True, text=True, check=True)
    return completed.stdout


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_a_guest_from_a_master(workshop: Workshop, kind: Callable[[Workshop], str]) -> None:
    workshop.change_list("tar: debian.tar", kind(workshop))
    workshop.doit()
    disk = workshop.path("guests/deb01/root.img")
    assert disk.stat().st_size == 16 << 20
    subprocess.run(["e2fsck", "-f", "-n", disk], check=True, capture_output=True)
    assert inside(disk, "/etc/motd") == "welcome\n"
    assert inside(disk, "/etc/hostname") == "deb01\n"
    assert workshop.path("guests/deb01/vmlinuz").read_bytes() == b"the kernel"
    assert workshop.doit().executed == []


def test_packed_otherwise_but_equal(built: Workshop) -> None:
    built.change_list("tar: debian.tar", packed("gz", gzip.compress)(built))
    assert built.doit().executed == ["master:debian"]


def test_an_image_changed(workshop: Workshop) -> None:
    workshop.change_list("tar: debian.tar", image(workshop))
    workshop.doit()
    path = workshop.folder / "rootfs.img"
    subprocess.run(["debugfs", "-w", "-R", "rm /etc/motd", path], check=True, capture_output=True)
    assert workshop.doit().executed[:3] == ["master:debian", "kernel:debian", "populate:debian-image-16M"]
    assert inside(workshop.path("guests/deb01/root.img"), "/etc/motd") == ""


def without(*names: str) -> dict[str, bytes | None]:
    return {name: data for name, data in TINY_MASTER.items() if name not in names}


@pytest.mark.parametrize(
    ("master", "message"),
    [
        (
            {**TINY_MASTER, "boot/config-6.1": b"# CONFIG_XEN is not set\n"},
            "/boot/vmlinuz-6.1 cannot run as a Xen PV guest",
        ),
        (without("boot/vmlinuz-6.1"), "there is no kernel in the master's /boot"),
        (without("boot/initrd.img-6.1"), "there is no initrd for /boot/vmlinuz-6.1"),
    ],
)
def test_kernels_that_will_not_do(workshop: Workshop, master: dict[str, bytes | None], message: str) -> None:
    write_tar(workshop.folder / "debian.tar", master)
    built = workshop.doit("kernel:debian", check=False)
    assert built.code == 1
    assert f"master 'debian': {message}" in built.output
    assert "Traceback" not in built.output


def test_a_kernel_of_the_host(workshop: Workshop) -> None:
    write_tar(workshop.folder / "debian.tar", without("boot/vmlinuz-6.1", "boot/initrd.img-6.1"))
    workshop.change_list("  master: debian\n", "  master: debian\n  kernel: /boot/xen\n  ramdisk: /boot/xen.img\n")
    assert not any(task.startswith("kernel:") for task in workshop.doit().executed)
    configuration = workshop.path("guests/deb01/deb01.cfg").read_text()
    assert 'kernel = "/boot/xen"\nramdisk = "/boot/xen.img"\n' in configuration
    assert not workshop.path("guests/deb01/vmlinuz").exists()


def test_the_newest_kernel_unless_another_is_named(workshop: Workshop) -> None:
    newer = {
        "boot/vmlinuz-6.10": b"the newer",
        "boot/initrd.img-6.10": b"its initrd",
        "boot/config-6.10": b"CONFIG_XEN_PV=y\n",
    }
    workshop.write_master(newer)
    workshop.doit()
    assert workshop.path("guests/deb01/vmlinuz").read_bytes() == b"the newer"
    workshop.change_list("tar: debian.tar", "tar: debian.tar, kernel: /boot/vmlinuz-6.1")
    workshop.doit()
    assert workshop.path("guests/deb01/vmlinuz").read_bytes() == b"the kernel"
    assert workshop.path("guests/deb01/initrd.img").read_bytes() == b"the initrd"


def test_allocated_disks_are_allocated(workshop: Workshop) -> None:
    workshop.change_list("root: 16M", "root: {size: 16M, allocate: full}")
    workshop.doit()
    for name in ("zero", "format", "root"):
        path = workshop.path(f"bases/debian-ext4-16M-full/{name}.img")
        assert path.stat().st_blocks * 512 >= 16 << 20
    assert workshop.path("guests/deb01/root.img").stat().st_blocks * 512 >= 16 << 20


def test_a_kernel_in_a_folder_of_its_own(workshop: Workshop) -> None:
    workshop.write_master({"opt": None, "opt/linux": b"another kernel", "opt/initrd": b"another initrd"})
    workshop.change_list("tar: debian.tar", "tar: debian.tar, kernel: /opt/linux, initrd: /opt/initrd")
    workshop.doit("config:deb01")
    assert workshop.path("guests/deb01/vmlinuz").read_bytes() == b"another kernel"
    assert workshop.path("guests/deb01/initrd.img").read_bytes() == b"another initrd"
