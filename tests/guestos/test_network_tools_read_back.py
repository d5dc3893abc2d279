"""Network tools' own programs read what is written for them, without starting anything."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from pipeline.guestos.network import ifcfg, ifupdown, netplan, networkmanager, wicked
from pipeline.image.layer.entries import Entry, File, text
from tests.guests import guest
from tests.layers import link, tree
from tests.machine import need, need_programs, run
from tests.nics import ADVERTISED, ALL, FULL, PLAIN, SILENT, VLAN

LOADER = """
import json, os, sys
import gi
gi.require_version("NM", "1.0")
from gi.repository import GLib, NM

found = {}
for path in sys.argv[1:]:
    keyfile = GLib.KeyFile()
    keyfile.load_from_file(path, GLib.KeyFileFlags.NONE)
    read = NM.keyfile_read(keyfile, os.path.dirname(path), NM.KeyfileHandlerFlags.NONE, None, None)
    read.verify()
    four, six, wired = read.get_setting_ip4_config(), read.get_setting_ip6_config(), read.get_setting_wired()
    found[read.get_id()] = {
        "mac": wired.get_mac_address() if wired else None,
        "mtu": wired.get_mtu() if wired else None,
        "parent": read.get_setting_vlan().get_parent() if read.get_setting_vlan() else None,
        "uuid": read.get_uuid(),
        "methods": [four.get_method(), six.get_method()],
        "addresses": [
            f"{each.get_address(n).get_address()}/{each.get_address(n).get_prefix()}"
            for each in (four, six) for n in range(each.get_num_addresses())
        ],
        "gateways": [each.get_gateway() for each in (four, six) if each.get_gateway()],
        "routes": [
            f"{each.get_route(n).get_dest()}/{each.get_route(n).get_prefix()} {each.get_route(n).get_next_hop()}"
            for each in (four, six) for n in range(each.get_num_routes())
        ],
        "nameservers": [each.get_dns(n) for each in (four, six) for n in range(each.get_num_dns())],
        "search": [four.get_dns_search(n) for n in range(four.get_num_dns_searches())],
    }
json.dump(found, sys.stdout)
"""


def write(layer: Iterable[Entry], root: Path) -> list[Path]:
    """The files of a layer, in a folder."""
    paths = []
    for entry in layer:
        if isinstance(entry, File):
            path = root / entry.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(entry.content.read())
            path.chmod(entry.metadata.mode)
            paths.append(path)
    return paths


def test_networkmanager_loads_its_keyfiles(tmp_path: Path) -> None:
    python = "/usr/bin/python3"  # for which Debian's packages are
    need(Path(python).exists() and _has_networkmanager(python), "gir1.2-nm-1.0 and python3-gi")
    files = write(networkmanager.entries(guest(nics=ALL), tree()), tmp_path)
    found = json.loads(run(python, "-c", LOADER, *files))
    assert found["eth0"] == {
        "mac": FULL.mac.upper(),
        "mtu": FULL.mtu,
        "parent": None,
        "uuid": found["eth0"]["uuid"],
        "methods": ["manual", "manual"],
        "addresses": [str(address) for address in FULL.addresses],
        "gateways": [str(gateway) for gateway in FULL.gateways],
        "routes": [f"{route.to} {route.via}" for route in FULL.routes],
        "nameservers": [str(server) for server in FULL.nameservers],
        "search": list(FULL.search),
    }
    assert found["eth1.10"]["parent"] == found["eth1"]["uuid"]
    assert found["eth1.10"]["addresses"] == ["10.1.0.11/24"]
    assert len({each["uuid"] for each in found.values()}) == len(ALL) + 1


def _has_networkmanager(python: str) -> bool:
    probe = 'import gi; gi.require_version("NM", "1.0"); print("there")'
    return run(python, "-c", probe, codes=(0, 1)).strip() == "there"


def test_netplan_generates_what_networkd_is_given_elsewhere(tmp_path: Path) -> None:
    need_programs("netplan")
    write(netplan.entries(guest(nics=ALL), tree()), tmp_path)
    run("netplan", "generate", "--root-dir", tmp_path)
    folder = tmp_path / "run/systemd/network"
    read = {path.name.removeprefix("10-netplan-"): path.read_text().splitlines() for path in folder.iterdir()}
    everything = read["eth0.network"]
    for line in (
        f"PermanentMACAddress={FULL.mac}",
        *(f"Address={address}" for address in FULL.addresses),
        *(f"Gateway={gateway}" for gateway in FULL.gateways),
        *(f"Destination={route.to}" for route in FULL.routes),
        *(f"DNS={server}" for server in FULL.nameservers),
        "Domains=a.example b.example",
        "IPv6AcceptRA=no",
    ):
        assert line in everything
    assert {"Address=10.1.0.11/24", "IPv6AcceptRA=yes"} <= set(read["eth1.10.network"])
    assert "VLAN=eth1.10" in read["eth1.network"]
    assert "DHCP=yes" in read["eth2.network"]
    assert {"DHCP=ipv6", "IPv6AcceptRA=no"} <= set(read["eth5.network"])
    assert f"MTUBytes={FULL.mtu}" in read["eth0.link"]


def test_netplan_generates_what_networkmanager_can_load(tmp_path: Path) -> None:
    need_programs("netplan")
    write(netplan.entries(guest(nics=(FULL, VLAN)), tree(text("usr/sbin/NetworkManager", ""))), tmp_path)
    run("netplan", "generate", "--root-dir", tmp_path)
    generated = (tmp_path / "run/NetworkManager/system-connections/netplan-eth0.nmconnection").read_text()
    assert f"mac-address={FULL.mac}" in generated.lower()


def test_busybox_configures_all_that_it_knows(tmp_path: Path) -> None:
    need_programs("busybox")
    busybox = tree(text("bin/busybox", ""), link("sbin/ifup", "/bin/busybox"))
    four = guest(nics=(FULL, VLAN, SILENT, PLAIN, ADVERTISED))
    files = write(ifupdown.entries(four, busybox), tmp_path)
    (interfaces,) = (path for path in files if path.name == "interfaces")
    commands = run("busybox", "ifup", "-n", "-a", "-i", interfaces).splitlines()
    for address in FULL.addresses:
        assert f"ip addr add {address} dev eth0 label eth0" in commands
    for command in (
        "ip link set dev eth0 mtu 9000",
        "ip route add default via 10.0.0.1 dev eth0",
        "ip route add ::/0 via fe80::1 dev eth0",
        "ip route add 10.9.0.0/16 via 10.0.0.254 dev eth0",
        "ip link add link eth1 name eth1.10 type vlan id 10",
        "ip addr add 10.1.0.11/24 dev eth1.10 label eth1.10",
    ):
        assert command in commands


@pytest.mark.parametrize("tool", [ifcfg, wicked])
def test_a_shell_reads_ifcfg_files(tool: object, tmp_path: Path) -> None:
    assert tool in (ifcfg, wicked)
    module = ifcfg if tool is ifcfg else wicked
    files = [path for path in write(module.entries(guest(nics=ALL), tree()), tmp_path) if "ifcfg-" in path.name]
    assert len(files) == len(ALL) + 1
    for path in files:
        run("bash", "-n", path)
        run("sh", "-ue", "-c", '. "$1"', "sh", path)
    own = next(path for path in files if path.name == "ifcfg-eth0")
    shown = run("sh", "-c", '. "$1"; echo "$IPADDR $DOMAIN"', "sh", own, env={"DOMAIN": ""}).strip()
    assert shown == ("10.0.0.11 a.example b.example" if module is ifcfg else "10.0.0.11/24")
