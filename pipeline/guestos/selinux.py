"""SELinux: has a guest that enforces its policy label its files at its first boot, where they have no labels yet."""

from collections.abc import Iterator

from pipeline.image.ext import selinux
from pipeline.image.layer.entries import Entry, text
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """/.autorelabel, where selinux_config(5) says "enforcing", something has no label, and the kernel knows no better.

    Files without a label are closed to confined services. Those of bases are labelled where their inodes have room for
    it and the master has its policy, see image/labels.py; all others, and those of other disks, are left to the guest,
    which starts again then.
    """
    if selinux.mode(tree) != "enforcing" or is_switched_off(guest):
        return
    if tree.xattr("", selinux.ATTRIBUTE) is None or any(disk.mount for disk in guest.disks):
        yield text(".autorelabel", "")


def is_switched_off(guest: Guest) -> bool:
    """Whether its kernel is told not to enforce a policy."""
    return not {"selinux=0", "enforcing=0"}.isdisjoint(guest.extra.split())
