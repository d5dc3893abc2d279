"""The farm for other programs, as they read it themselves."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import guestlist
from pipeline.errors import GuestfarmError
from pipeline.guestlist.export.inventory import FORMATS
from pipeline.hypervisors import BY_NAME
from pipeline.model.farm import Farm
from tests.machine import need, need_programs, run

pytestmark = pytest.mark.unit

# Names that are words or numbers to one format or another.
LIST = """\
farm: in.v-1
masters:
  a.b: {bootstrap: {suite: bookworm}}
  a-b: {bootstrap: {suite: bookworm}}
defaults: {master: a.b, network: {bridge: xenbr0, gateway: 10.0.0.1}}
guests:
  host: {address: 10.0.0.2/24, mac: 00:16:3e:00:00:02}
  range: {address: 10.0.0.3/24, mac: 00:16:3e:00:00:03}
  "null": {address: 10.0.0.4/24, mac: 00:16:3e:00:00:04}
  "yes": {address: 10.0.0.5/24, mac: 00:16:3e:00:00:05}
  subnet: {address: 10.0.0.6/24, master: a-b, hypervisors: [xen, qemu], mac: 00:16:3e:00:00:06}
  3com: {address: 10.0.0.7/24, mac: 00:16:3e:00:00:07}
  0x1f: {address: 10.0.0.8/24, mac: 00:16:3e:00:00:08}
  1e3: {address: dhcp, mac: 00:16:3e:00:00:09}
  alone: {network: none}
  web.example.org: {network: {address: 2001:db8::9/64, gateway: none}, mac: 00:16:3e:00:00:0a}
  1.5: {address: 10.0.0.10/24, mac: 00:16:3e:00:00:0b}
  set: {address: 10.0.0.11/24, mac: 00:16:3e:00:00:0c}
"""
ADDRESSES = {
    **{"host": "10.0.0.2", "range": "10.0.0.3", "null": "10.0.0.4", "yes": "10.0.0.5", "subnet": "10.0.0.6"},
    **{"3com": "10.0.0.7", "0x1f": "10.0.0.8", "web.example.org": "2001:db8::9", "1.5": "10.0.0.10"},
    "set": "10.0.0.11",
}

Written = Callable[[str], Path]


def load(folder: Path, text: str) -> Farm:
    (folder / "guests.yaml").write_text(text)
    return guestlist.load(folder / "guests.yaml", hypervisors=BY_NAME)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A file of the farm in a format."""

    def write(name: str) -> Path:
        loaded = load(tmp_path, LIST)
        path = tmp_path / f"inventory.{'yaml' if name == 'ansible' else name}"
        path.write_text(FORMATS[name](loaded, loaded.guests.values()))
        return path

    return write


def test_ansible_reads_guests_addresses_and_groups(written: Written) -> None:
    need_programs("ansible-inventory")
    completed = subprocess.run(
        ["ansible-inventory", "-i", written("ansible"), "--list"], capture_output=True, text=True, check=True
    )
    assert completed.stderr == ""
    listed = json.loads(completed.stdout)
    assert {name: each["ansible_host"] for name, each in listed["_meta"]["hostvars"].items()} == ADDRESSES
    groups = {name: each["hosts"] for name, each in listed.items() if "hosts" in each}
    everybody = [*load(written("hosts").parent, LIST).guests]
    others = [name for name in everybody if name != "subnet"]
    assert groups == {
        "farm_in_v_1": everybody,
        "hypervisor_qemu": ["subnet"],
        "hypervisor_xen": everybody,
        "master_a_b": others,
        "master_a_b_": ["subnet"],
    }


def test_the_resolver_knows_guests_by_hosts(written: Written) -> None:
    need_programs("unshare", "getent")
    script = 'mount --bind "$0" /etc/hosts && getent -s files hosts "$@"'
    argv = ["unshare", "--map-root-user", "--mount", "sh", "-c", script, str(written("hosts")), *ADDRESSES.values()]
    completed = subprocess.run(argv, capture_output=True, text=True, check=False)
    need(completed.returncode == 0, f"user namespaces: {completed.stderr}")
    assert [tuple(line.split()) for line in completed.stdout.splitlines()] == [
        (address, name) for name, address in ADDRESSES.items()
    ]


def test_dnsmasq_takes_it(written: Written) -> None:
    need_programs("dnsmasq")
    path = written("dnsmasq")
    text = path.read_text()
    assert "dhcp-host=00:16:3e:00:00:02,10.0.0.2,host\n" in text
    assert "dhcp-host=00:16:3e:00:00:09,1e3\n" in text
    assert "dhcp-host=00:16:3e:00:00:0a,[2001:db8::9],web.example.org\n" in text
    assert text.count("dhcp-host=") == len(ADDRESSES) + 1
    run("dnsmasq", "--test", f"--conf-file={path}")
    path.write_text(f"{text}dhcp-host=00:16:3e:00:00:0f,10.0.0.2,twice\n")
    run("dnsmasq", "--test", f"--conf-file={path}", codes=(1,))


def test_dhcpd_takes_it(written: Written) -> None:
    need_programs("dhcpd")
    path = written("dhcpd")
    text = path.read_text()
    assert text.count("fixed-address ") == len(ADDRESSES) - 1  # that of IPv6 is none of DHCPv4's
    assert text.count("hardware ethernet ") == len(ADDRESSES) + 1
    run("dhcpd", "-t", "-cf", path)
    path.write_text(text.replace('"host";', '"host"'))
    run("dhcpd", "-t", "-cf", path, codes=(1,))


SEVERAL = """\
farm: f
masters: {m: {bootstrap: {suite: sid}}}
guests:
  a:
    master: m
    network:
      - {bridge: br0, address: [10.0.0.2/24, "2001:db8::2/64"], mac: 00:16:3e:00:00:01}
      - {bridge: br1, address: dhcp, mac: 00:16:3e:00:00:02}
      - {bridge: br2, address: [10.2.0.2/24, 10.3.0.2/24], mac: 00:16:3e:00:00:03}
"""


@pytest.mark.parametrize(
    ("kind", "lines", "check"),
    [
        (
            "hosts",
            ["10.0.0.2\ta", "2001:db8::2\ta", "10.2.0.2\ta", "10.3.0.2\ta"],
            (),
        ),
        (
            "ansible",
            [
                '    "a": {"ansible_host": "10.0.0.2",'
                ' "addresses": ["10.0.0.2", "2001:db8::2", "10.2.0.2", "10.3.0.2"]}',
            ],
            (),
        ),
        (
            "dnsmasq",
            [
                "dhcp-host=00:16:3e:00:00:01,10.0.0.2,[2001:db8::2],a",
                "dhcp-host=00:16:3e:00:00:02,a",
                "dhcp-host=00:16:3e:00:00:03,10.2.0.2,10.3.0.2,a",
            ],
            ("dnsmasq", "--test", "--conf-file={}"),
        ),
        (
            "dhcpd",
            ["    fixed-address 10.0.0.2;", "    fixed-address 10.2.0.2, 10.3.0.2;", "host a_2 {", "host a_3 {"],
            ("dhcpd", "-t", "-cf", "{}"),
        ),
    ],
)
def test_all_addresses_of_all_cards(kind: str, lines: list[str], check: tuple[str, ...], tmp_path: Path) -> None:
    loaded = load(tmp_path, SEVERAL)
    path = tmp_path / "inventory"
    path.write_text(FORMATS[kind](loaded, loaded.guests.values()))
    assert set(lines) <= set(path.read_text().splitlines())
    if check:
        need_programs(check[0])
        run(*(part.format(path) for part in check))


@pytest.mark.parametrize(
    ("kind", "name", "program"),
    [("ansible", "all", "Ansible"), ("dnsmasq", "24h", "dnsmasq"), ("dnsmasq", "Ignore", "dnsmasq")],
)
def test_names_that_a_format_has_no_quotes_for(kind: str, name: str, program: str, tmp_path: Path) -> None:
    head = "farm: f\nmasters: {m: {bootstrap: {suite: sid}}}\ndefaults: {master: m}\n"
    loaded = load(tmp_path, f"{head}guests: {{{name}: {{}}, a: {{}}}}\n")
    with pytest.raises(GuestfarmError, match=f"{program} does not take '{name}' for a guest"):
        FORMATS[kind](loaded, loaded.guests.values())
    assert FORMATS[kind](loaded, [loaded.guests["a"]])
