"""The guest's name, and the names that it knows without asking: hostname(5) and hosts(5)."""

from collections.abc import Iterator

from pipeline.farm.model import Guest
from pipeline.image.layer import Entry, text
from pipeline.image.tree import Tree

_STANDARD = """\
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
"""


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """/etc/hostname and /etc/hosts."""
    there = tree.read("etc/hosts").decode(errors="surrogateescape") if tree.exists("etc/hosts") else ""
    yield text("etc/hostname", f"{guest.name.partition('.')[0]}\n")
    yield text("etc/hosts", hosts(there, guest))


def hosts(there: str, guest: Guest) -> str:
    """The master's hosts file with one line for the guest: its address, or 127.0.1.1 where that comes by DHCP.

    So Debian has it (Debian Reference, 5.1.1). A line for the same address makes room. Files without localhost, such as
    the empty ones that containers leave behind, get Debian's standard lines.
    """
    static = [address.ip for nic in guest.nics for address in nic.addresses]
    address = str(static[0]) if static else "127.0.1.1"
    if not any("localhost" in line.partition("#")[0].split()[1:] for line in there.splitlines()):
        there = _STANDARD + there
    kept = [line for line in there.splitlines() if line.split()[:1] not in ([address], ["127.0.1.1"])]
    known_as = dict.fromkeys([guest.name, guest.name.partition(".")[0]])
    return "\n".join([*kept, f"{address} {' '.join(known_as)}", ""])
