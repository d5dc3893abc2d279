"""Kernels: which one a master boots, and whether it can run as a guest of Xen."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipeline.errors import MasterError
from pipeline.image.layer.tree import Tree, resolve

RECIPE = 1
"""Raise it when another kernel may be chosen from the same master: what was chosen by an older recipe is stale."""

_LINKS = ("vmlinuz", "boot/vmlinuz", "vmlinux", "boot/vmlinux")
_KERNEL = re.compile(r"vmlinu[xz]-(?P<release>.+)(?<!\.old)")
"""In /boot; installkernel(8) keeps the one before under the same name with .old."""
_KERNEL_OF_MODULES = re.compile(r"(?:usr/)?lib/modules/(?P<release>[^/]+)/vmlinu[xz]")
"""Where /boot's kernel is a symlink to, for SuSE."""
_INITRDS = ("boot/initrd.img-{}", "boot/initramfs-{}.img", "boot/initrd-{}", "usr/lib/modules/{}/initrd")
"""Of Debian, Red Hat and SuSE."""
_INITRD_LINKS = ("initrd.img", "boot/initrd.img", "boot/initrd")
_BESIDE_MODULES = ("vmlinuz", "vmlinux", "initrd", "config")
_CONFIGS = ("boot/config-{}", "usr/lib/modules/{}/config", "lib/modules/{}/config")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and its initrd, as paths inside a master without symlinks."""

    kernel: str
    initrd: str
    config: str | None


def wanted(path: str) -> bool:
    """Whether `find` and its caller may want to read the file at `path`; for LayerTree."""
    folder, _, name = path.rpartition("/")
    return not folder or path.startswith("boot/") or name in _BESIDE_MODULES


def find(tree: Tree, kernel: PurePosixPath | None = None, initrd: PurePosixPath | None = None) -> Kernel:
    """The kernel at `kernel`, else where /vmlinuz or /boot/vmlinuz leads, else the newest in /boot; with its initrd.

    Raises MasterError when there is none, or no initrd of the same release; ImageError for symlinks in a circle.
    """
    path = _named(tree, kernel) if kernel else _default(tree)
    match = _KERNEL_OF_MODULES.fullmatch(path) or _KERNEL.fullmatch(path.rpartition("/")[2])
    releases = [match["release"]] if match else []
    return Kernel(
        kernel=path,
        initrd=_named(tree, initrd) if initrd else _initrd(tree, path, releases),
        config=next((resolve(tree, name) for name in _by_release(_CONFIGS, releases) if tree.exists(name)), None),
    )


def _named(tree: Tree, path: PurePosixPath) -> str:
    real = resolve(tree, str(path))
    if not tree.exists(real):
        raise MasterError(f"there is no {path} in the master")
    return real


def _default(tree: Tree) -> str:
    for link in _LINKS:  # or, where only one kernel ever was, the kernel itself
        if tree.exists(link):
            return resolve(tree, link)
    kernels = [name for name in tree.names("boot") if _KERNEL.fullmatch(name)]
    if not kernels:
        raise MasterError(
            "there is no kernel in the master's /boot",
            "install one in it, name it with `kernel:`, or give the guests `kernel:` and `ramdisk:` of the host",
        )
    return resolve(tree, f"boot/{max(kernels, key=_by_version)}")


def _by_version(name: str) -> list[tuple[int, str]]:
    """Numbers in names count as numbers: 6.1.0-40 is newer than 6.1.0-9."""
    return [(int(digits or -1), text) for digits, text in re.findall(r"(\d+)|(\D+)", name)]


def _initrd(tree: Tree, kernel: str, releases: list[str]) -> str:
    for path in _by_release(_INITRDS, releases) or _INITRD_LINKS:
        if tree.exists(path):
            return resolve(tree, path)
    raise MasterError(
        f"there is no initrd for /{kernel} in the master", "make one in the master, or name it with `initrd:`"
    )


def _by_release(forms: Iterable[str], releases: list[str]) -> list[str]:
    return [form.format(release) for release in releases for form in forms]
