"""Which kernel a master boots, by the customs of several distributions, and whether it runs as a Xen PV guest."""

from itertools import pairwise
from pathlib import PurePosixPath

import pytest

from pipeline.errors import ImageError, MasterError
from pipeline.image.layer.entries import Entry, text
from pipeline.image.layer.tree import LayerTree
from pipeline.image.sources import kernel
from pipeline.image.sources.kernel import Kernel
from tests.layers import link, tree

pytestmark = pytest.mark.unit

DEBIAN: list[Entry] = [
    *(text(f"boot/vmlinuz-6.1.0-{abi}-amd64", "") for abi in (9, 40, 38)),
    *(text(f"boot/initrd.img-6.1.0-{abi}-amd64", "") for abi in (9, 40, 38)),
    *(text(f"boot/config-6.1.0-{abi}-amd64", "") for abi in (9, 40, 38)),
]
NEWEST_OF_DEBIAN = Kernel("boot/vmlinuz-6.1.0-40-amd64", "boot/initrd.img-6.1.0-40-amd64", "boot/config-6.1.0-40-amd64")
PREVIOUS_OF_DEBIAN = Kernel(
    "boot/vmlinuz-6.1.0-38-amd64", "boot/initrd.img-6.1.0-38-amd64", "boot/config-6.1.0-38-amd64"
)
SUSE = "usr/lib/modules/6.4.0-150600-default"

MASTERS: dict[str, tuple[list[Entry], Kernel]] = {
    "Debian without symlinks: the newest": (DEBIAN, NEWEST_OF_DEBIAN),
    "Debian": (
        [*DEBIAN, link("vmlinuz", "boot/vmlinuz-6.1.0-38-amd64"), link("initrd.img", "boot/initrd.img-6.1.0-38-amd64")],
        PREVIOUS_OF_DEBIAN,
    ),
    "Debian's derivatives": ([*DEBIAN, link("boot/vmlinuz", "vmlinuz-6.1.0-38-amd64")], PREVIOUS_OF_DEBIAN),
    "absolute symlink": ([*DEBIAN, link("vmlinuz", "/boot/vmlinuz-6.1.0-38-amd64")], PREVIOUS_OF_DEBIAN),
    "symlink to nothing": ([*DEBIAN, link("vmlinuz", "boot/vmlinuz-5.10.0-1-amd64")], NEWEST_OF_DEBIAN),
    "with a backup": ([*DEBIAN, text("boot/vmlinuz-6.1.0-40-amd64.old", "")], NEWEST_OF_DEBIAN),
    "Red Hat": (
        [
            text("boot/vmlinuz-0-rescue-0123456789abcdef", ""),
            text("boot/initramfs-0-rescue-0123456789abcdef.img", ""),
            text("boot/vmlinuz-5.14.0-427.el9.x86_64", ""),
            text("boot/initramfs-5.14.0-427.el9.x86_64.img", ""),
            text("boot/config-5.14.0-427.el9.x86_64", ""),
        ],
        Kernel(
            "boot/vmlinuz-5.14.0-427.el9.x86_64",
            "boot/initramfs-5.14.0-427.el9.x86_64.img",
            "boot/config-5.14.0-427.el9.x86_64",
        ),
    ),
    "Red Hat, whose configuration is beside the modules": (
        [
            link("lib", "usr/lib"),
            text("boot/vmlinuz-6.8.5-301.fc40.x86_64", ""),
            text("boot/initramfs-6.8.5-301.fc40.x86_64.img", ""),
            text("usr/lib/modules/6.8.5-301.fc40.x86_64/config", ""),
        ],
        Kernel(
            "boot/vmlinuz-6.8.5-301.fc40.x86_64",
            "boot/initramfs-6.8.5-301.fc40.x86_64.img",
            "usr/lib/modules/6.8.5-301.fc40.x86_64/config",
        ),
    ),
    "SuSE": (
        [
            text(f"{SUSE}/vmlinuz", ""),
            text(f"{SUSE}/config", ""),
            link("boot/vmlinuz", "vmlinuz-6.4.0-150600-default"),
            link("boot/vmlinuz-6.4.0-150600-default", f"../{SUSE}/vmlinuz"),
            link("boot/config-6.4.0-150600-default", f"../{SUSE}/config"),
            link("boot/initrd", "initrd-6.4.0-150600-default"),
            text("boot/initrd-6.4.0-150600-default", ""),
        ],
        Kernel(f"{SUSE}/vmlinuz", "boot/initrd-6.4.0-150600-default", f"{SUSE}/config"),
    ),
    "old SuSE": (
        [
            text("boot/vmlinuz-4.4.21-69-default", ""),
            text("boot/vmlinux-4.4.21-69-default.gz", ""),
            text("boot/initrd-4.4.21-69-default", ""),
        ],
        Kernel("boot/vmlinuz-4.4.21-69-default", "boot/initrd-4.4.21-69-default", None),
    ),
    "plain files": (
        [text("boot/vmlinuz", ""), text("boot/initrd.img", "")],
        Kernel("boot/vmlinuz", "boot/initrd.img", None),
    ),
}


@pytest.mark.parametrize(("layer", "expected"), MASTERS.values(), ids=MASTERS)
def test_found(layer: list[Entry], expected: Kernel) -> None:
    assert kernel.find(tree(*layer)) == expected


@pytest.mark.parametrize(("layer", "expected"), MASTERS.values(), ids=MASTERS)
def test_what_is_found_was_kept(layer: list[Entry], expected: Kernel) -> None:
    kept = LayerTree(layer, kernel.wanted)
    for path in (expected.kernel, expected.initrd, expected.config):
        assert path is None or kept.read(path) == b""


@pytest.mark.parametrize("path", ["/boot/vmlinuz-6.1.0-9-amd64", "boot/vmlinuz-6.1.0-9-amd64", "/boot/mine"])
def test_named(path: str) -> None:
    layer = [*DEBIAN, link("vmlinuz", "boot/vmlinuz-6.1.0-40-amd64"), link("boot/mine", "vmlinuz-6.1.0-9-amd64")]
    found = kernel.find(tree(*layer), PurePosixPath(path))
    assert found.kernel == "boot/vmlinuz-6.1.0-9-amd64"
    assert found.initrd == "boot/initrd.img-6.1.0-9-amd64"
    assert found.config == "boot/config-6.1.0-9-amd64"


def test_both_named() -> None:
    layer = [text("opt/kernel", ""), text("opt/initrd", "")]
    found = kernel.find(tree(*layer), PurePosixPath("/opt/kernel"), PurePosixPath("/opt/initrd"))
    assert found == Kernel("opt/kernel", "opt/initrd", None)


MISSING: dict[str, tuple[list[Entry], str | None, str]] = {
    "no /boot": ([], None, "there is no kernel in the master's /boot; install one in it, name it with `kernel:`, or g"),
    "empty /boot": ([text("boot/grub/grub.cfg", "")], None, "there is no kernel in the master's /boot"),
    "no such kernel": (DEBIAN, "/boot/vmlinuz-7", "there is no /boot/vmlinuz-7 in the master"),
    "no initrd": (
        [text("boot/vmlinuz-6.1", ""), text("boot/initrd.img-6.0", "")],
        None,
        "there is no initrd for /boot/vmlinuz-6.1 in the master; make one in the master, or name it with `initrd:`",
    ),
    "symlinks in a circle": ([link("vmlinuz", "boot/vmlinuz"), link("boot/vmlinuz", "../vmlinuz")], None, "too many s"),
}


@pytest.mark.parametrize(("layer", "name", "message"), MISSING.values(), ids=MISSING)
def test_missing(layer: list[Entry], name: str | None, message: str) -> None:
    with pytest.raises((MasterError, ImageError), match=message):
        kernel.find(tree(*layer), PurePosixPath(name) if name else None)


VERSIONS = [  # rising
    "3.16.0-4-amd64",
    "4.9.0-19-amd64",
    "4.19.0-9-amd64",
    "4.19.0-27-amd64",
    "5.10.0-9-cloud-amd64",
    "6.1.0-9-amd64",
    "6.1.0-10-amd64",
    "6.1.10-1-amd64",
    "6.12.1-amd64",
    "10.0.1-amd64",
]


@pytest.mark.parametrize(("older", "newer"), list(pairwise(VERSIONS)))
def test_newest(older: str, newer: str) -> None:
    layer = [text(f"boot/{name}-{version}", "") for version in (newer, older) for name in ("vmlinuz", "initrd.img")]
    assert kernel.find(tree(*layer)).kernel == f"boot/vmlinuz-{newer}"
