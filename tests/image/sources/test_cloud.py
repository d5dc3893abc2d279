"""Cloud images: the root of disks with partitions, raw and qcow2, made by sfdisk, mke2fs and qemu-img."""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline import process
from pipeline.errors import MasterError
from pipeline.image.files import sparse
from pipeline.image.layer.entries import Directory, Entry, File, HardLink, Symlink
from pipeline.image.sources import cloud
from tests.machine import need_programs, run

MIB = 1 << 20
ROOT = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
ESP = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"


@pytest.fixture(autouse=True)
def programs() -> None:
    need_programs("sfdisk", "qemu-img", "mke2fs")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    for folder in ("etc/cloud", "usr/bin", "boot"):
        (tree / folder).mkdir(parents=True)
    (tree / "etc/motd").write_text("from a cloud\n")
    (tree / "etc/holes").write_bytes(b"\0" * (2 * MIB) + b"end")
    (tree / "etc/again").hardlink_to(tree / "etc/motd")
    (tree / "bin").symlink_to("usr/bin")
    return tree


def filesystem(folder: Path, image: Path, size: int, kind: str = "ext4") -> Path:
    with image.open("wb") as file:
        file.truncate(size)
    run("mke2fs", "-q", "-t", kind, "-d", folder, image)
    return image


def disk(path: Path, label: str, *partitions: tuple[str, Path]) -> Path:
    """A disk with partitions of these types, and these images in them."""
    lines, start = [f"label: {label}"], 1
    for kind, image in partitions:
        size = image.stat().st_size // MIB
        lines.append(f"start={start}MiB, size={size}MiB, type={kind}")
        start += size
    with path.open("wb") as file:
        file.truncate((start + 1) * MIB)
    script = path.with_suffix(".script")
    script.write_text("\n".join(lines) + "\n")
    run("sh", "-c", 'sfdisk -q "$1" <"$2"', "sh", path, script)
    start = 1
    for _, image in partitions:
        with path.open("r+b") as file:
            file.seek(start * MIB)
            file.write(image.read_bytes())
        start += image.stat().st_size // MIB
    return path


def qcow2(image: Path) -> Path:
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", "-c", image, image.with_suffix(".qcow2"))
    return image.with_suffix(".qcow2")


@contextmanager
def entries(image: Path) -> Iterator[dict[str, Entry]]:
    with cloud.opened(image, image.parent / "rootfs.tar") as files:
        yield {entry.path: entry for entry in files}


def read(image: Path) -> dict[str, bytes]:
    with cloud.opened(image, image.parent / "rootfs.tar") as files:
        return {entry.path: entry.content.read() for entry in files if isinstance(entry, File)}


@pytest.mark.parametrize("label", ["gpt", "dos", "none"])
@pytest.mark.parametrize("packed", [False, True], ids=["raw", "qcow2"])
def test_the_root_of_a_disk(tree: Path, tmp_path: Path, label: str, packed: bool) -> None:
    root = filesystem(tree, tmp_path / "root.img", 24 * MIB)
    image = root
    if label != "none":
        image = disk(tmp_path / "disk.img", label, (LINUX if label == "gpt" else "83", root))
    image = qcow2(image) if packed else image
    files = read(image)
    assert files["etc/again"] == b"from a cloud\n"
    assert files["etc/holes"] == b"\0" * (2 * MIB) + b"end"
    assert files["etc/cloud/cloud-init.disabled"] == b""
    with entries(image) as found:
        assert found["etc/motd"] == HardLink("etc/motd", "etc/again")
        assert isinstance(found["etc"], Directory)
        assert isinstance(found["bin"], Symlink)
        assert found["bin"].target == "usr/bin"
        assert "lost+found" not in found
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("rootfs")]


def test_a_kernel_on_a_partition_of_its_own(tree: Path, tmp_path: Path) -> None:
    kernels, home = tmp_path / "kernels", tmp_path / "home"
    kernels.mkdir()
    (kernels / "vmlinuz-6.1").write_text("the kernel")
    (kernels / "vmlinuz").symlink_to("vmlinuz-6.1")
    (home / "me").mkdir(parents=True)
    image = disk(
        tmp_path / "disk.img",
        "gpt",
        (LINUX, filesystem(home, tmp_path / "home.img", 32 * MIB)),
        (ESP, filesystem(home, tmp_path / "esp.img", 1 * MIB, "ext2")),
        (LINUX, filesystem(kernels, tmp_path / "boot.img", 4 * MIB, "ext2")),
        (ROOT, filesystem(tree, tmp_path / "root.img", 16 * MIB)),
    )
    files = read(image)
    assert files["boot/vmlinuz-6.1"] == b"the kernel"
    assert "me" not in files


def test_other_partitions_are_not_waited_for(tree: Path, tmp_path: Path) -> None:
    lines = [
        "# /etc/fstab",
        "PARTUUID=9d4cdb3b-43a4-4f7f-a8ca-8d1e4f5d1a51 / ext4 rw,discard 0 1",
        "PARTUUID=0a6b1d3b-3b30-4e5c-8a52-8b3b0c1c4a15 /boot/efi vfat defaults 0 0",
        "LABEL=BOOT /boot ext4 defaults 0 2",
        "/dev/vdb1 /srv ext4 defaults 0 2",
        "tmpfs /tmp tmpfs defaults 0 0",
        "files:/export /mnt nfs defaults 0 0",
    ]
    (tree / "etc/fstab").write_text("\n".join([*lines, ""]))
    kept = read(filesystem(tree, tmp_path / "root.img", 16 * MIB))["etc/fstab"].decode().splitlines()
    assert kept == [lines[number] for number in (0, 1, 5, 6)]


def test_no_root(tmp_path: Path) -> None:
    need_programs("mkfs.vfat")
    root = tmp_path / "root.img"
    run("truncate", "--size=4M", root)
    run("mkfs.vfat", root)
    image = disk(tmp_path / "disk.img", "gpt", (ROOT, root))
    with pytest.raises(MasterError, match=r"disk.img: there is no root file system on it, only 'vfat'; .* btrfs are"):
        read(image)


def test_an_encrypted_root(tree: Path, tmp_path: Path) -> None:
    root = tmp_path / "root.img"
    root.write_bytes(b"LUKS\xba\xbe\0\1".ljust(4 * MIB, b"\0"))  # see the LUKS1 On-Disk Format Specification
    boot = filesystem(tree / "boot", tmp_path / "boot.img", 4 * MIB)
    with pytest.raises(MasterError, match="its root file system is encrypted; take its files out"):
        read(disk(tmp_path / "disk.img", "gpt", (LINUX, boot), (ROOT, root)))


def test_no_guestfish(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_programs("mkfs.btrfs")
    root = tmp_path / "root.img"
    run("truncate", "--size=128M", root)
    run("mkfs.btrfs", "-q", root)
    monkeypatch.setattr(process, "available", lambda name: name != "guestfish")
    for image in (root, disk(tmp_path / "disk.img", "gpt", (ROOT, root))):
        with pytest.raises(MasterError, match=r"guestfish is missing.*apt install guestfish"):
            read(image)


def test_what_is_no_disk(tmp_path: Path) -> None:
    image = tmp_path / "disk.img"
    image.write_bytes(b"nothing" * 100_000)
    with pytest.raises(MasterError, match=rf"{image}: .*sfdisk"):
        read(image)


def test_data_in_other_files_is_not_read(tmp_path: Path) -> None:
    secret, image = tmp_path / "secret", tmp_path / "disk.qcow2"
    secret.write_bytes(b"secret" * 1000)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-b", secret, "-F", "raw", image)
    with pytest.raises(MasterError, match="in another file"):
        read(image)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'}", image, "1M")
    with pytest.raises(MasterError, match="in another file"):
        read(image)


def test_an_image_whose_data_is_everywhere_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All entries of its tables lead to one cluster: see "Cluster mapping" in qemu's docs/interop/qcow2.rst."""
    image, cluster = tmp_path / "disk.qcow2", 1 << 16
    run("qemu-img", "create", "-q", "-f", "qcow2", image, "64G")
    run("qemu-io", "-f", "qcow2", "-c", f"write -P 1 0 {cluster}", image)
    data = bytearray(image.read_bytes())
    (entries,), (table,) = struct.unpack_from(">I", data, 36), struct.unpack_from(">Q", data, 40)
    (second,) = struct.unpack_from(">Q", data, table)
    place = second & 0x00FFFFFFFFFFFE00
    data[place : place + cluster] = data[place : place + 8] * (cluster // 8)
    data[table : table + 8 * entries] = data[table : table + 8] * entries
    image.write_bytes(data)
    with (
        pytest.raises(MasterError, match=rf"{image}: it holds 64G, more than twice what the guests' .*, of 1.0G"),
        cloud.opened(image, tmp_path / "rootfs.tar", 1 << 30),
    ):
        pass
    monkeypatch.setattr(sparse, "free_space", lambda _: MIB)
    with (
        pytest.raises(MasterError, match=rf"{image}: unpacked, it takes 64G, and 1.0M is free"),
        cloud.opened(image, tmp_path / "rootfs.tar"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["disk.qcow2"]


def test_a_disk_with_a_file_of_holes(tree: Path, tmp_path: Path) -> None:
    """What is packed has the holes as zeros."""
    with (tree / "etc/lastlog").open("wb") as file:
        file.truncate(100 * MIB)
    image = disk(tmp_path / "disk.img", "gpt", (ROOT, filesystem(tree, tmp_path / "root.img", 16 * MIB)))
    with (
        pytest.raises(MasterError, match=f"{image}: it holds more than twice what the guests' root disks"),
        cloud.opened(image, tmp_path / "rootfs.tar", 16 * MIB) as files,
    ):
        list(files)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "disk.img")
    with pytest.raises(MasterError, match=r"disk.img: it is a FIFO, not a regular file"):
        read(tmp_path / "disk.img")


def test_a_file_system_that_was_not_unmounted(tree: Path, tmp_path: Path) -> None:
    root = filesystem(tree, tmp_path / "root.img", 16 * MIB)
    run("debugfs", "-w", "-R", "set_super_value state 0", root)
    with pytest.raises(MasterError, match="not cleanly unmounted"):
        read(disk(tmp_path / "disk.img", "gpt", (ROOT, root)))


def test_a_missing_program(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = disk(tmp_path / "disk.img", "gpt", (ROOT, filesystem(tree, tmp_path / "root.img", 16 * MIB)))
    monkeypatch.setattr(process, "available", lambda name: name != "sfdisk")
    with pytest.raises(MasterError, match=r"the program sfdisk is missing.*apt install fdisk"):
        read(image)
