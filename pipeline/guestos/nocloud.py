"""What cloud-init is told of a guest: meta-data, user-data and network-config, as its data source NoCloud takes them.

The documents are YAML. Their keys are those of "Cloud config modules" and "Networking config Version 2" in cloud-init's
documentation. Nothing of the master goes into them: they are made without looking into it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import yaml

from pipeline.errors import MasterError
from pipeline.guestlist.keys.user import Read
from pipeline.guestos import configuration, homes
from pipeline.guestos.network import interface_names
from pipeline.image.layer.entries import Entry, Removal
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.network import Nic
from pipeline.model.user import User

RECIPE = 1
"""Raise it when the same guest gets other documents: seeds made by an older recipe are stale."""

_PROGRAMS = ("usr/bin/cloud-init", "bin/cloud-init")
_SBIN = ("sbin", "usr/sbin")
_ENI = "usr/lib/python3/dist-packages/cloudinit/net/eni.py"
"""Its writer of /etc/network/interfaces, in Debian's package."""
_DISABLED = "etc/cloud/cloud-init.disabled"
"""See "Disable cloud-init" in its documentation; masters made of cloud images have it."""

_SOURCES: Final = re.compile(r"^datasource_list:(.*)$", re.MULTILINE)
"""A list in one line: ds-identify, which comes before all else, reads no other."""

_ROOT = "root"
_EXPIRED = "1970-01-02"
"""Day 1 of shadow(5), as in accounts.py: nobody gets in by any way."""

_NO_LOCALE = "false"
"""Otherwise, without one, it would take its distribution's, and generate that."""

_SHELL = "/bin/bash"  # cloud-init leaves it to useradd(8), which on Debian takes /bin/sh
_KEY_FILE, _PUBLIC = "ssh_host_{}_key", ".pub"


def documents(guest: Guest, read: Read, host_keys: Mapping[str, bytes]) -> dict[str, str]:
    """The documents by the names of their files; `read` reads files of SSH keys, `host_keys` are files of /etc/ssh.

    Raises MasterError for a file without keys.
    """
    return {
        "meta-data": _yaml({"instance-id": str(guest.uuid), "local-hostname": guest.name}),
        "network-config": _yaml(_network(guest)),
        "user-data": f"#cloud-config\n{_yaml({**_names(guest), **_users(guest, read), **_keys(guest, host_keys)})}",
    }


def entries(guest: Guest, tree: Tree) -> Iterator[Entry]:
    """What has cloud-init in `tree` work.

    Raises MasterError if it is not there, reads no seeds, or lacks what it needs for what the guest shall be.
    """
    if not any(map(tree.exists, _PROGRAMS)):
        raise MasterError(
            "the master has no cloud-init, which is to tell its guests who they are",
            "install it in the master, or say identity: files",
        )
    for path in _settings(tree):
        if (sources := _SOURCES.findall(configuration.there(tree, path))) and "NoCloud" not in sources[-1]:
            raise MasterError(
                f"/{path} in the master leaves NoCloud out of datasource_list: cloud-init would look for no seed",
                "add NoCloud there, or remove the setting",
            )
    if any(nic.routes for nic in guest.nics) and _needs_route(tree):
        raise MasterError(
            "network.routes: for ifupdown, its cloud-init sets them by route(8), which is not there",
            "install net-tools in the master, or say identity: files",
        )
    yield Removal(_DISABLED)
    yield Removal("var/lib/cloud")  # what it has done, and been told, in the machine that the master was


def _needs_route(tree: Tree) -> bool:
    """Whether it has a program run for routes (seen: 22.4) that is missing, which nobody would be told of."""
    writes = any(tree.exists(f"{folder}/ifup") for folder in _SBIN) and tree.exists(_ENI)
    there = any(tree.exists(f"{folder}/route") for folder in _SBIN)
    return writes and not there and b"route add" in tree.read(_ENI)


def _settings(tree: Tree) -> list[str]:
    """The file of cloud-init's settings that decides on data sources: the last one that says something of them."""
    folder = "etc/cloud/cloud.cfg.d"
    paths = [f"{folder}/{name}" for name in sorted(tree.names(folder)) if name.endswith(".cfg")]
    told = [path for path in ("etc/cloud/cloud.cfg", *paths) if _SOURCES.search(configuration.there(tree, path))]
    return told[-1:]


def _names(guest: Guest) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "preserve_hostname": False,
        "hostname": guest.name.partition(".")[0],
        "fqdn": guest.name,
        "prefer_fqdn_over_hostname": False,
        "manage_etc_hosts": "localhost",
    }
    if guest.timezone is not None:
        settings["timezone"] = guest.timezone
    settings["locale"] = guest.locale or _NO_LOCALE
    if guest.keyboard is not None:
        layout, _, variant = guest.keyboard.partition("-")
        settings["keyboard"] = {"layout": layout, **({"variant": variant} if variant else {})}
    return settings


def _users(guest: Guest, read: Read) -> dict[str, Any]:
    """Users, without the one that cloud-init makes where it is told of none."""
    made = [_user(user, read) for user in guest.users if user.name != _ROOT or user.password is not None]
    # root's keys alone go another way: as an account in the list, it would be locked or unlocked.
    roots = [user for user in guest.users if user.name == _ROOT and user.password is None and user.keys]
    keys = {"ssh_authorized_keys": homes.authorized(roots[0], read)} if roots else {}
    # The keys let in what they are root's keys for, and not to be told to log in as somebody else.
    return {"users": made, **keys, "disable_root": False}


def _user(user: User, read: Read) -> dict[str, Any]:
    described: dict[str, Any] = {"name": user.name}
    if user.name != _ROOT:
        described["shell"] = _SHELL if user.shell is None else str(user.shell)
    more = {
        "gecos": user.comment,
        "homedir": None if user.home is None else str(user.home),
        "uid": user.uid,
        "groups": list(user.groups) or None,
        "sudo": user.sudo[0] if len(user.sudo) == 1 else list(user.sudo) or None,
        "ssh_authorized_keys": homes.authorized(user, read) or None,
        "hashed_passwd": user.password,  # unlike passwd also for an account that is there
        "expiredate": _EXPIRED if user.locked else None,
    }
    described |= {key: value for key, value in more.items() if value is not None}
    described["lock_passwd"] = bool(user.locked) or user.password is None
    return described


def _keys(guest: Guest, host_keys: Mapping[str, bytes]) -> dict[str, Any]:
    """The SSH host keys; those of the master always go. Where it is told of none, it makes its own."""
    if guest.host_keys is None:
        return {"ssh_deletekeys": True}
    ours = {}  # with nothing in it: none at all
    for kind in guest.host_keys:
        name = _KEY_FILE.format(kind)
        ours[f"{kind}_private"] = host_keys[name].decode()
        ours[f"{kind}_public"] = host_keys[f"{name}{_PUBLIC}"].decode()
    return {"ssh_deletekeys": True, "ssh_keys": ours}


def _network(guest: Guest) -> dict[str, Any]:
    """The cards by their MAC addresses, which get the names that cards.names() would give them."""
    ethernets: dict[str, Any] = {}
    vlans: dict[str, Any] = {}
    for number, nic in enumerate(guest.nics):
        name = f"net{number}" if len(guest.nics) > 1 else f"eth{number}"
        card: dict[str, Any] = {"match": {"macaddress": nic.mac}, "set-name": name}
        card |= {"mtu": nic.mtu} if nic.mtu is not None else {}
        if nic.vlan is None:
            ethernets[name] = card | _configured(nic)
        else:
            ethernets[name] = card | {"dhcp4": False, "dhcp6": False}
            size = {"mtu": nic.mtu} if nic.mtu is not None else {}
            vlans[interface_names.interface(name, nic.vlan)] = {
                "id": nic.vlan,
                "link": name,
                **size,
                **_configured(nic),
            }
    return {"version": 2, "ethernets": ethernets, **({"vlans": vlans} if vlans else {})}


def _configured(nic: Nic) -> dict[str, Any]:
    settings: dict[str, Any] = {"dhcp4": nic.dhcp4, "dhcp6": nic.dhcp6}
    if nic.accept_ra is not None:
        settings["accept-ra"] = nic.accept_ra
    if nic.addresses:
        settings["addresses"] = list(map(str, nic.addresses))
    for gateway in nic.gateways:
        # Of a route to ::/0, cloud-init (seen: 22.4) makes one to ::/64 for all tools but netplan.
        settings[f"gateway{gateway.version}"] = str(gateway)
    if nic.routes:
        settings["routes"] = [{"to": str(route.to), "via": str(route.via)} for route in nic.routes]
    servers = {"addresses": list(map(str, nic.nameservers)), "search": list(nic.search)}
    if any(servers.values()):
        settings["nameservers"] = {key: values for key, values in servers.items() if values}
    return settings


class _Dumper(yaml.SafeDumper):
    """As ever, but with texts of several lines as such: a private key is one."""


def _represent_text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)


_Dumper.add_representer(str, _represent_text)


def _yaml(document: Mapping[str, Any]) -> str:
    # Not as wide as terminals are: a key that lets in is one line, as everywhere.
    return yaml.dump(dict(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 16)
