"""SELinux: has a guest that enforces its policy label, at its first boot, what was written from outside."""

import re
from collections.abc import Iterator

from pipeline.farm.model.guest import Guest
from pipeline.image.layer import Entry, text
from pipeline.image.tree import Tree
from pipeline.system import configuration


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """/.autorelabel, where selinux_config(5) says "enforcing" and the kernel is not told otherwise.

    Files without a label are closed to confined services. Only the guest's own setfiles(8) knows all that decides on
    labels: the policy's modules, local file contexts, users' homes. So the whole is labelled by it, once, and the guest
    reboots; a master may be as free of labels as a tar or a container's files are.
    """
    mode = re.findall(r"^\s*SELINUX=(\w+)", configuration.there(tree, "etc/selinux/config"), re.MULTILINE)
    if mode[-1:] == ["enforcing"] and not is_switched_off(guest):
        yield text(".autorelabel", "")


def is_switched_off(guest: Guest) -> bool:
    """Whether its kernel is told not to enforce a policy."""
    return not {"selinux=0", "enforcing=0"}.isdisjoint(guest.extra.split())
