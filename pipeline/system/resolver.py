"""Where the guest asks for names: resolv.conf(5)."""

from collections.abc import Iterator

from pipeline.farm.model import Guest
from pipeline.image.layer import Entry, text
from pipeline.image.tree import Tree


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """/etc/resolv.conf, unless it is a symlink: then a service of the guest looks after it."""
    nameservers = dict.fromkeys(server for nic in guest.nics for server in nic.nameservers)
    domains = dict.fromkeys(domain for nic in guest.nics for domain in nic.search)
    if (nameservers or domains) and tree.readlink("etc/resolv.conf") is None:
        lines = [f"nameserver {server}\n" for server in nameservers]
        lines += [f"search {' '.join(domains)}\n"] if domains else []
        yield text("etc/resolv.conf", "".join(lines))
