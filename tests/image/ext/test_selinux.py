"""SELinux's labels: setfiles(8), which knows policies best, finds nothing to change in what was written."""

from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from pipeline import guestos
from pipeline.errors import ImageError
from pipeline.image import ext
from pipeline.image.disk import base, root
from pipeline.image.ext import selinux
from pipeline.image.files import digest
from pipeline.image.layer.entries import Contents, Directory, Entry, HardLink, Kind, Metadata, Removal, Special, text
from pipeline.inputs.tree import walk
from pipeline.model.disk import Allocation, Disk, FileSystem
from tests.guests import ROOT_UUID, guest
from tests.image import images
from tests.image.images import MIB
from tests.layers import PLAIN, link
from tests.machine import mounted, need_programs, run

CONTEXTS = "etc/selinux/tiny/contexts/files"
CONFIG = text("etc/selinux/config", "# SELINUX=disabled\nSELINUX=enforcing\nSELINUXTYPE=tiny\n")
POLICY: list[Entry] = [
    CONFIG,
    text(
        f"{CONTEXTS}/file_contexts",
        "/.*\tsystem_u:object_r:default_t:s0\n"
        "/\t-d\tsystem_u:object_r:root_t:s0\n"
        "/etc(/.*)?\tsystem_u:object_r:etc_t:s0\n"
        "/etc/hostname\t--\tsystem_u:object_r:net_conf_t:s0\n"
        "/etc/ssh/ssh_host.*_key(\\.pub)?\t--\tsystem_u:object_r:sshd_key_t:s0\n"
        "/usr/(.*/)?s?bin(/.*)?\tsystem_u:object_r:bin_t:s0\n"
        "/usr/bin/a.*\t-l\tsystem_u:object_r:link_t:s0\n"
        "/dev/.*\t-c\tsystem_u:object_r:device_t:s0\n"
        "/dev/.*\t-p\tsystem_u:object_r:pipe_t:s0\n"
        "/proc/.*\t<<none>>\n"
        "/lost\\+found(/.*)?\tsystem_u:object_r:lost_found_t:s0\n",
    ),
    text(f"{CONTEXTS}/file_contexts.homedirs", "/home/[^/]+(/.*)?\tunconfined_u:object_r:user_home_t:s0\n"),
    text(f"{CONTEXTS}/file_contexts.local", "/srv/shop(/.*)?\tsystem_u:object_r:shop_t:s0\n"),
    text(f"{CONTEXTS}/file_contexts.subs_dist", "/bin /usr/bin\n/sbin /usr/sbin\n"),
]
MASTER: list[Entry] = [
    *(Directory(path, PLAIN) for path in ("dev", "home", "proc/1", "srv/shop", "usr/bin", "usr/sbin")),
    *(link(name, f"usr/{name}") for name in ("bin", "sbin")),
    link("usr/bin/alias", "program"),
    text("usr/bin/program", "", 0o755),
    HardLink("usr/bin/program2", "usr/bin/program"),
    text("usr/sbin/ifup", "", 0o755),
    text("etc/hostname", "master\n"),
    text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
    text("srv/shop/index", ""),
    Special("dev/null", PLAIN, Kind.CHARACTER, 1, 3),
    Special("dev/fifo", PLAIN, Kind.FIFO),
]


def label(image: Path, path: str) -> str:
    with ext.open(image, write=False) as filesystem:
        return (filesystem.xattr(path, selinux.ATTRIBUTE) or b"").decode()


def to_change(image: Path) -> list[str]:
    """What setfiles would label otherwise, by the policy in the image."""
    need_programs("setfiles")
    point = image.with_suffix(".mounted")
    with mounted(image, point, "-o", "loop,ro,noload"):
        said = run("setfiles", "-n", "-v", "-F", "-r", point, point / f"{CONTEXTS}/file_contexts", point)
    point.rmdir()
    return [line.split()[2].removeprefix(str(point)) for line in said.splitlines()]


def build(master: Path, **changes: Any) -> Path:
    whose = guest(**changes)
    target, identity = master.with_name("guest.img"), partial(guestos.identity, read=Path.read_bytes, walk=walk)
    keys = {"ssh_host_ed25519_key": b"secret"}
    root.build(master, target, partial(identity, whose, host_keys=keys), whose.root_uuid, allocate=False)
    images.check(target)
    return target


def test_a_base_and_a_guest_of_it(tmp_path: Path) -> None:
    ssh = [text("usr/sbin/sshd", "", 0o755), text("etc/ssh/sshd_config", "")]
    image = images.populated(tmp_path, [*MASTER, *ssh, *POLICY])
    images.check(image)
    assert to_change(image) == []
    assert label(image, "") == "system_u:object_r:root_t:s0\0"
    assert label(image, "lost+found") == "system_u:object_r:lost_found_t:s0\0"
    assert label(image, "proc/1") == ""
    own = build(image, host_keys=())
    assert to_change(own) == []
    assert label(own, "etc/hostname") == "system_u:object_r:net_conf_t:s0\0", "it takes the place of the master's"
    assert label(own, "etc/ssh/ssh_host_ed25519_key") == "system_u:object_r:sshd_key_t:s0\0"
    assert label(own, ".autorelabel") == ""
    with ext.open(own) as filesystem:
        status = filesystem.status("etc/hostname")
        assert status
        filesystem.set_xattr(status, selinux.ATTRIBUTE, b"system_u:object_r:etc_t:s0\0")
    assert to_change(own) == ["/etc/hostname"], "setfiles would have told"


def test_a_layer_on_a_labelled_file_system(tmp_path: Path) -> None:
    """Folders made on the way are labelled, and what is there already stays as it is."""
    image = images.populated(tmp_path, [*MASTER, *POLICY])
    layer: list[Entry] = [
        text("home/me/new/file", "a"),
        text("bin/tool", "a", 0o755),  # by way of a symlink
        text("srv/gone", "a"),
        Removal("srv/gone"),
        HardLink("srv/shop/index2", "srv/shop/index"),
        Directory("srv/shop", Metadata(mode=0o700)),
    ]
    with ext.open(image) as filesystem:
        status = filesystem.status("srv/shop")
        assert status
        filesystem.set_xattr(status, selinux.ATTRIBUTE, b"mine\0")
        selinux.write(filesystem, layer)
    assert label(image, "home/me/new") == "unconfined_u:object_r:user_home_t:s0\0"
    assert label(image, "usr/bin/tool") == "system_u:object_r:bin_t:s0\0"
    assert to_change(image) == ["/srv/shop"]


def test_labels_of_the_master_stay(tmp_path: Path) -> None:
    own = Metadata(mode=0o755, xattrs=((selinux.ATTRIBUTE, b"theirs\0"),))
    image = images.populated(tmp_path, [Directory("", own), *MASTER, Directory("srv/shop", own), *POLICY])
    assert label(image, "") == label(image, "srv/shop") == "theirs\0"
    assert label(image, "srv/shop/index") == "system_u:object_r:shop_t:s0\0", "it had none"
    assert label(build(image), "etc/hostname") == "system_u:object_r:net_conf_t:s0\0"


@pytest.mark.parametrize(
    ("policy", "relabels"),
    [
        ([], False),
        ([CONFIG], True),
        ([*POLICY, text("etc/selinux/config", "SELINUX=disabled\nSELINUXTYPE=tiny\n")], False),
        ([text("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=../../../tmp\n")], True),
    ],
    ids=["none", "without a policy", "disabled", "hostile"],
)
def test_nothing_to_label_by(policy: list[Entry], relabels: bool, tmp_path: Path) -> None:
    image = build(images.populated(tmp_path, [*MASTER, *policy]))
    with ext.open(image, write=False) as filesystem:
        assert not [path for path, status in filesystem.walk() if filesystem.xattrs(status)]
        assert filesystem.exists(".autorelabel") == relabels


def test_permissive(tmp_path: Path) -> None:
    """Whoever is about to enforce the policy finds all in order."""
    config = text("etc/selinux/config", "SELINUX=permissive\nSELINUXTYPE=tiny\n")
    image = images.populated(tmp_path, [*MASTER, *POLICY, config])
    assert label(build(image), "etc/hostname") == "system_u:object_r:net_conf_t:s0\0"


def test_other_disks_are_left_to_the_guest(tmp_path: Path) -> None:
    image = images.populated(tmp_path, [*MASTER, *POLICY])
    data = Disk(
        name="data",
        size=MIB,
        filesystem=FileSystem.EXT4,
        allocation=Allocation.SPARSE,
        mount=PurePosixPath("/srv/data"),
        label=None,
        uuid=ROOT_UUID,
    )
    with ext.open(build(image, disks=(data,)), write=False) as filesystem:
        assert filesystem.exists(".autorelabel")


def test_a_policy_that_makes_no_sense(tmp_path: Path) -> None:
    broken = text(f"{CONTEXTS}/file_contexts", "/etc(\n/usr(/.* what -- is this\n")
    with pytest.raises(ImageError, match="the file contexts of its SELinux policy make no sense"):
        images.populated(tmp_path, [*MASTER, *POLICY, broken])


@pytest.mark.parametrize(("inode_size", "labelled"), [("256", True), ("128", False)])
def test_images_made_by_hand(inode_size: str, labelled: bool, tmp_path: Path) -> None:
    """Small inodes have no room for labels: a guest that has to label its files itself shares blocks of them."""
    image = images.handmade(tmp_path / "hand.img", "-t", "ext3", "-I", inode_size)
    with ext.open(image) as filesystem:
        filesystem.apply([*MASTER, *POLICY])
    images.check(image)
    contents = Contents(digest.of_file(image), image.stat().st_size)
    base.adopt(image, tmp_path / "adopted.img", 16 * MIB, None, contents, allocate=False)
    own = build(tmp_path / "adopted.img")
    with ext.open(own, write=False) as filesystem:
        assert filesystem.exists(".autorelabel") != labelled
    assert (to_change(own) == []) == labelled
