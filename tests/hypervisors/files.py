"""What guests are started with: files that a host keeps, anywhere, and arguments for the kernel."""

from pathlib import PurePosixPath

from hypothesis import strategies as st

from pipeline.guestlist.keys.names import KERNEL_ARGUMENTS
from pipeline.hypervisors import Files


def files_in(folder: str, *others: str, swap: bool = True, ramdisk: bool = True) -> Files:
    """The files of a guest in `folder`."""
    there = PurePosixPath(folder)
    return Files(
        root=there / "root.img",
        swap=there / "swap.img" if swap else None,
        kernel=there / "vmlinuz",
        ramdisk=there / "initrd.img" if ramdisk else None,
        boot=there / "boot.img",
        header=there / "header.img",
        others={name: there / f"{name}.img" for name in others},
    )


FILES = files_in("/opt/xen/images/deb01")

NASTY = """/srv/a b, <c> & $(d) `e` =f; #g 'h' "i" \\ é"""
"""A folder whose name has all that some format could take for its own."""


ARGUMENTS = st.from_regex(KERNEL_ARGUMENTS.pattern, fullmatch=True)
"""Any arguments for a kernel that the list accepts."""


@st.composite
def folders(draw: st.DrawFn) -> str:
    """Folders with any printable characters in their names."""
    names = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"], exclude_characters="/"), min_size=1)
    return "/".join(["/srv", *draw(st.lists(names, max_size=3))])
