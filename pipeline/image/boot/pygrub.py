"""pygrub, Xen's boot loader for PV and PVH guests, which reads the menu in a root disk: whether it finds one."""

from pathlib import Path

from pipeline.errors import ImageError
from pipeline.image import ext

# In the order in which pygrub looks for them: tools/pygrub/src/pygrub in Xen's source.
_MENUS = (
    *("boot/grub/grub.cfg", "grub/grub.cfg", "boot/grub2/grub.cfg", "grub2/grub.cfg"),
    *("boot/isolinux/isolinux.cfg", "boot/extlinux/extlinux.conf", "boot/extlinux.conf"),
    *("extlinux/extlinux.conf", "extlinux.conf"),
    *("boot/grub/menu.lst", "boot/grub/grub.conf", "grub/menu.lst", "grub/grub.conf"),
)


def check(root: Path, guest: str) -> None:
    """Raise ImageError unless the root disk `root` of `guest` has a menu for pygrub."""
    with ext.open(root, write=False) as filesystem:
        if not any(map(filesystem.exists, _MENUS)):
            raise ImageError(
                f"guest '{guest}': pygrub finds no menu in its root disk, as /{_MENUS[0]} or /{_MENUS[-4]}",
                "make one in the master by update-grub, write one by `files:`, or say 'xen: {boot: kernel}'",
            )
