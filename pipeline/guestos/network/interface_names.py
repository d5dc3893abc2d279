"""Names of network cards, given to them by their MAC addresses: for tools that know an interface by its name alone."""

from collections.abc import Iterator

from pipeline.image.layer.entries import Entry, text
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest

_UDEV = ("usr/lib/systemd/systemd-udevd", "lib/systemd/systemd-udevd")
_OLD_UDEV = ("sbin/udevd", "usr/sbin/udevd", "lib/udev/udevd", "usr/lib/udev/udevd")
"""As it was before it became a part of systemd: up to Red Hat 6, SuSE 11 and Debian 7."""


def names(guest: Guest, tree: Tree) -> list[str]:
    """What each of the guest's cards is called.

    A single one is eth0. Of several, the kernel may call any so, and udev cannot swap names of the kernel's own kind
    (systemd.link(5), Name=): so these have others. Without udev, they keep the kernel's.
    """
    renamed = len(guest.nics) > 1 and any(map(tree.exists, _UDEV))
    return [f"net{number}" if renamed else f"eth{number}" for number, _ in enumerate(guest.nics)]


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """What has udev call the cards so, whatever else runs: systemd.link(5), or a rule where udev is older than that."""
    named = list(zip(names(guest, tree), guest.nics, strict=True))
    if any(map(tree.exists, _OLD_UDEV)) and not any(map(tree.exists, _UDEV)):
        rules = [
            f'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{{address}}=="{nic.mac}", NAME="{name}"\n'
            for name, nic in named
        ]
        # The persistent names that it would write itself are for cards without a name.
        if rules:
            yield text("etc/udev/rules.d/70-guest-net.rules", "".join(rules))
        return
    for name, nic in named:
        # A VLAN interface has the MAC address of its card.
        only_cards = "Type=ether\n" if nic.vlan is not None else ""
        link = f"[Match]\nMACAddress={nic.mac}\n{only_cards}\n[Link]\nName={name}\n"
        yield text(f"etc/systemd/network/10-{name}.link", link)


def interface(card: str, vlan: int | None) -> str:
    """The interface that has the addresses: the card itself, or the VLAN interface on it."""
    return card if vlan is None else f"{card}.{vlan}"
