"""What a master's system is: the family of its distribution, by os-release(5), and whether systemd is its init."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.errors import MasterError, quoted
from pipeline.image.layer.tree import Tree
from pipeline.model.master import Family

_OS_RELEASE = ("etc/os-release", "usr/lib/os-release")
_FAMILIES = {
    "debian": Family.DEBIAN,
    "ubuntu": Family.DEBIAN,
    "fedora": Family.REDHAT,
    "rhel": Family.REDHAT,
    "centos": Family.REDHAT,
    "suse": Family.SUSE,
    "opensuse": Family.SUSE,
    "sles": Family.SUSE,
    "alpine": Family.GENERIC,
    "arch": Family.GENERIC,
    "buildroot": Family.GENERIC,
}
"""By what os-release(5) calls a distribution, or those that it is like."""

_OLDER = {  # what there was before os-release(5): Red Hat up to 6, SuSE up to 11, Debian up to 6
    "etc/redhat-release": Family.REDHAT,
    "etc/SuSE-release": Family.SUSE,
    "etc/debian_version": Family.DEBIAN,
}
_SYSTEMD = ("usr/lib/systemd/systemd", "lib/systemd/systemd")

_IMMUTABLE = {  # marks of systems that run from something else than the tree that they are installed in
    "ostree/repo": "an OSTree repository, and runs from a deployment in it",
    "usr/sbin/transactional-update": "changed by transactional-update alone, in snapshots of Btrfs",
    "etc/NIXOS": "NixOS, which makes /etc anew from its store",
    "usr/lib/snapd/snap-bootstrap": "Ubuntu Core, which runs from snaps",
}


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a master's system is."""

    family: Family
    systemd: bool


def of(tree: Tree, stated: Family | None) -> Distribution:
    """The distribution in `tree`, whose family may be `stated`.

    A tree that says nothing of itself, such as one with BusyBox alone, is generic. Raises MasterError for a family that
    is not known, and for a system that would not see what is written to its /etc.
    """
    if stated is None:
        _check_mutable(tree)
    return Distribution(stated or _family(tree), any(map(tree.exists, _SYSTEMD)))


def _family(tree: Tree) -> Family:
    for path in filter(tree.exists, _OS_RELEASE):
        fields = _fields(tree.read(path).decode(errors="replace"))
        names = [fields.get("ID", "linux"), *fields.get("ID_LIKE", "").split()]
        for name in names:
            # SuSE's are opensuse-leap, opensuse-tumbleweed, sles_sap and more.
            if family := _FAMILIES.get(name) or _FAMILIES.get(name.partition("-")[0].partition("_")[0]):
                return family
        known = ", ".join(dict.fromkeys(str(family) for family in _FAMILIES.values()))
        raise MasterError(
            f"/{path} calls it {quoted(names[0])}, which is of no known family ({known})",
            "say on the master which `family:` it is like; or `family: none`, and give its guests' own `files:`",
        )
    return next((family for path, family in _OLDER.items() if tree.exists(path)), Family.GENERIC)


def _fields(text: str) -> dict[str, str]:
    """The variables of os-release(5), which are assigned as in a shell."""
    return dict(_assignments(text))


def _assignments(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            try:
                yield name, " ".join(shlex.split(value))
            except ValueError:  # a quote that is not closed
                yield name, value


def _check_mutable(tree: Tree) -> None:
    for path, what in _IMMUTABLE.items():
        if tree.exists(path):
            raise MasterError(
                f"/{path} says that it is {what}: what Guestfarm writes to /etc might not be seen",
                "if its /etc is that of its root file system, say which `family:` it is on the master",
            )
