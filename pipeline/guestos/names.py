"""The guest's name, and the names that it knows without asking: hostname(5) and hosts(5)."""

from collections.abc import Iterator

from pipeline.guestos import configuration
from pipeline.guestos.distribution import Distribution
from pipeline.image.layer.entries import Entry
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.master import Family

_STANDARD = """\
127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
ff02::1 ip6-allnodes
ff02::2 ip6-allrouters
"""


_BY_DHCP = {Family.SUSE: "127.0.0.2"}
"""What stands for a guest's own address where that comes by DHCP: Debian Reference, 5.1.1; on SuSE, as YaST has it."""


def entries(guest: Guest, tree: Tree, system: Distribution) -> Iterator[Entry]:
    """The host name, where the family keeps it, and /etc/hosts."""
    short = guest.name.partition(".")[0]
    if system.family is Family.REDHAT and not system.systemd:  # up to RHEL 6
        yield from configuration.changed(tree, "etc/sysconfig/network", {"NETWORKING": "yes", "HOSTNAME": guest.name})
    elif system.family is Family.SUSE and not system.systemd:  # up to SLES 11
        yield from configuration.written(tree, "etc/HOSTNAME", f"{guest.name}\n")
    else:
        yield from configuration.written(tree, "etc/hostname", f"{short}\n")
    there = configuration.there(tree, "etc/hosts")
    contents = hosts(there, guest, _BY_DHCP.get(system.family, "127.0.1.1"))
    yield from configuration.written(tree, "etc/hosts", contents)


def hosts(there: str, guest: Guest, by_dhcp: str) -> str:
    """The master's hosts file with one line for the guest: its address, or `by_dhcp` where that comes by DHCP.

    A line for the same address makes room. Files without localhost, such as the empty ones that containers leave
    behind, get Debian's standard lines.
    """
    static = [address.ip for nic in guest.nics for address in nic.addresses]
    address = str(static[0]) if static else by_dhcp
    if not any("localhost" in line.partition("#")[0].split()[1:] for line in there.splitlines()):
        there = _STANDARD + there
    kept = [line for line in there.splitlines() if line.split()[:1] not in ([address], [by_dhcp])]
    known_as = dict.fromkeys([guest.name, guest.name.partition(".")[0]])
    return "\n".join([*kept, f"{address} {' '.join(known_as)}", ""])
