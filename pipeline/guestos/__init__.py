"""The guest's own operating system: the files that give a root disk its identity.

Pure: a guest and the tree of its base in, a layer out.

Each module knows one matter: the distribution (which family a master is of, so where it keeps things), names (hostname,
hosts), mounts (fstab), the resolver, what is regional (time zone, locale, keyboard), SELinux, SSH's host keys, users
(accounts, homes), files, systemd's units, and the network tools, of which a master has one. `identity()` puts them
together. Where cloud-init tells a guest who it is, nocloud has what that is told instead.
"""

from collections.abc import Iterator, Mapping

from pipeline.guestlist.keys.file import Walk
from pipeline.guestlist.keys.user import Read
from pipeline.guestos import (
    distribution,
    files,
    homes,
    mounts,
    names,
    network,
    nocloud,
    regional,
    resolver,
    selinux,
    ssh,
    systemd,
)
from pipeline.guestos.accounts import Accounts
from pipeline.guestos.distribution import Distribution
from pipeline.image.layer.entries import Entry, Removal, text
from pipeline.image.layer.overlay import Overlay
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.master import Identity

RECIPE = 3
"""Raise it when the same guest gets other files: root disks made by an older recipe are stale."""

_MASTERS_OWN = (
    "var/lib/systemd/random-seed",
    "var/lib/systemd/credential.secret",
    "etc/udev/rules.d/70-persistent-net.rules",
)
"""What a master that ever ran has, and no two machines may share (https://systemd.io/BUILDING_IMAGES): made anew.

The rules call another network interface eth0: that with the master's MAC address.
"""


def identity(guest: Guest, tree: Tree, read: Read, host_keys: Mapping[str, bytes], walk: Walk) -> list[Entry]:
    """Everything that makes a clone of the file system `tree` the root disk of `guest`.

    `read` reads the files of this machine that the list names, and `walk` the folders; `host_keys` are files of SSH
    host keys. Raises MasterError when the master lacks what that takes.
    """
    system = distribution.of(tree, guest.base.master.family)
    by_files = guest.identity is Identity.FILES
    found = list(_by_files(guest, tree, system, host_keys) if by_files else _for_cloud_init(guest, tree))
    found.append(text("etc/machine-id", f"{guest.machine_id}\n", mode=0o444))
    if tree.readlink("var/lib/dbus/machine-id") is None:
        found.append(Removal("var/lib/dbus/machine-id"))  # D-Bus takes systemd's when it has none of its own
    found += map(Removal, _MASTERS_OWN)
    if guest.users or guest.roles or guest.files:
        accounts = Accounts(tree)
        users = guest.users if by_files else ()
        accounts.add(users)
        found += accounts.entries()
        found += homes.entries(users, accounts, tree, read)
    if guest.roles or guest.files or systemd.states(guest):
        whole = Overlay(tree)  # so that later entries may build upon earlier ones
        for entry in found:
            whole.add(entry)
        found += files.entries(guest, accounts, whole, read, walk) if guest.roles or guest.files else ()
        found += systemd.entries(guest, whole, system)
    return found


def _by_files(guest: Guest, tree: Tree, system: Distribution, host_keys: Mapping[str, bytes]) -> Iterator[Entry]:
    yield from names.entries(guest, tree, system)
    yield from mounts.entries(guest, tree)
    yield from network.entries(guest, tree, system)
    yield from resolver.entries(guest, tree)
    yield from regional.entries(guest, tree, system)
    yield from selinux.entries(guest, tree)
    yield from ssh.entries(guest, tree, host_keys)


def _for_cloud_init(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """What concerns the guest's disks, and what cloud-init does for some network tools and distributions only."""
    yield from nocloud.entries(guest, tree)
    yield from mounts.entries(guest, tree)
    yield from resolver.entries(guest, tree)
    yield from selinux.entries(guest, tree)
    yield from ssh.removals(tree)
