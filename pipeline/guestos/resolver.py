"""Where the guest asks for names: resolv.conf(5)."""

from collections.abc import Iterator

from pipeline.guestos import configuration
from pipeline.image.layer.entries import Entry, text
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest

_PATH = "etc/resolv.conf"


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """/etc/resolv.conf; where a symlink leads to one that is made at boot, a service looks after it.

    That service gets the nameservers from the network tool.
    """
    servers, domains = nameservers(guest), search(guest)
    if servers or domains:
        lines = [f"nameserver {server}\n" for server in servers]
        lines += [f"search {' '.join(domains)}\n"] if domains else []
        yield from configuration.written(tree, _PATH, "".join(lines))


def for_resolved(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """What tells systemd-resolved, where it looks after resolv.conf, for tools that do not: resolved.conf(5)."""
    servers, domains = nameservers(guest), search(guest)
    if (servers or domains) and "systemd/resolve" in (tree.readlink(_PATH) or ""):
        settings = [f"DNS={' '.join(servers)}"] if servers else []
        settings += [f"Domains={' '.join(domains)}"] if domains else []
        yield text("etc/systemd/resolved.conf.d/10-guest.conf", "\n".join(["[Resolve]", *settings, ""]))


def is_made_at_boot(tree: Tree) -> bool:
    """Whether a service looks after resolv.conf."""
    return configuration.place(tree, _PATH) is None


def nameservers(guest: Guest) -> list[str]:
    """Each of them once."""
    return list(dict.fromkeys(str(server) for nic in guest.nics for server in nic.nameservers))


def search(guest: Guest) -> list[str]:
    """Each domain that is searched, once."""
    return list(dict.fromkeys(domain for nic in guest.nics for domain in nic.search))
