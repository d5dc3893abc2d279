"""What the guest mounts: fstab(5)."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from pipeline.guestos import configuration
from pipeline.image.layer.entries import Directory, Entry, Metadata
from pipeline.image.layer.tree import Tree
from pipeline.model.disk import Disk
from pipeline.model.guest import Guest


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """/etc/fstab, and where there is nothing yet, the directories that disks are mounted at."""
    yield from configuration.written(tree, "etc/fstab", fstab(configuration.there(tree, "etc/fstab"), guest))
    for _, point in _mounted(guest):
        for above in (*reversed(point.parents), point):
            path = str(above.relative_to("/"))
            if path != "." and not tree.exists(path):
                yield Directory(path, Metadata(mode=0o755))


def fstab(there: str, guest: Guest) -> str:
    """The master's fstab with the guest's own disks, by UUID: they have other device names elsewhere."""
    mounted = _mounted(guest)
    points = {"/", *(_escaped(point) for _, point in mounted)}
    kept = [line for line in there.splitlines() if not _is_replaced(line.split(), points)]
    kind = guest.base.filesystem or "auto"
    ours = [f"UUID={guest.root_uuid} / {kind} errors=remount-ro 0 1"]
    ours += [f"UUID={guest.swap_uuid} none swap sw 0 0"] if guest.swap is not None else []
    ours += [f"UUID={disk.uuid} {_escaped(point)} {disk.filesystem} defaults 0 2" for disk, point in mounted]
    return "\n".join([*kept, *ours, ""])


def _mounted(guest: Guest) -> list[tuple[Disk, PurePosixPath]]:
    """The disks that are mounted besides root, and where; a place inside another one after that."""
    found = [(disk, disk.mount) for disk in guest.disks if disk.mount is not None]
    return sorted(found, key=lambda each: len(each[1].parts))


def _escaped(path: PurePosixPath) -> str:
    """As fstab(5) wants a mount point, where a blank would end it."""
    return str(path).replace(" ", r"\040")


def _is_replaced(fields: list[str], points: set[str]) -> bool:
    if fields[:1] == ["#"] and "UNCONFIGURED" in fields:  # Debian's base-files says so until somebody configures it
        return True
    return len(fields) >= 3 and not fields[0].startswith("#") and (fields[1] in points or fields[2] == "swap")
