"""What the guest mounts: fstab(5)."""

from collections.abc import Iterator

from pipeline.farm.model import Guest
from pipeline.image.layer import Entry, text
from pipeline.image.tree import Tree


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """/etc/fstab."""
    there = tree.read("etc/fstab").decode(errors="surrogateescape") if tree.exists("etc/fstab") else ""
    yield text("etc/fstab", fstab(there, guest))


def fstab(there: str, guest: Guest) -> str:
    """The master's fstab with the guest's own root and swap, by UUID: they have other device names elsewhere."""
    kept = [line for line in there.splitlines() if not _is_replaced(line.split())]
    kind = guest.base.filesystem or "auto"
    ours = [f"UUID={guest.root_uuid} / {kind} errors=remount-ro 0 1"]
    ours += [f"UUID={guest.swap_uuid} none swap sw 0 0"] if guest.swap is not None else []
    return "\n".join([*kept, *ours, ""])


def _is_replaced(fields: list[str]) -> bool:
    if fields[:1] == ["#"] and "UNCONFIGURED" in fields:  # Debian's base-files says so until somebody configures it
        return True
    return len(fields) >= 3 and not fields[0].startswith("#") and (fields[1] == "/" or fields[2] == "swap")
