"""Guests that cloud-init tells who they are: what the list may ask of it, what it is told, what is left on disks."""

from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from pipeline import guestlist, guestos
from pipeline.errors import ListError, MasterError
from pipeline.guestos import nocloud
from pipeline.hypervisors import BY_NAME
from pipeline.image.layer.entries import Entry, File, Removal, text
from pipeline.inputs.tree import walk
from pipeline.model.farm import Farm
from pipeline.model.master import Identity
from pipeline.model.user import HostKey, User
from tests import schemas
from tests.guestlist.test_users import ECDSA, ED25519, YESCRYPT
from tests.guests import DOMAIN_UUID, MACHINE_ID, guest
from tests.layers import contents, file, tree
from tests.nics import DHCP6, FULL, SILENT, VLAN

pytestmark = pytest.mark.unit

KEYS = {
    "ssh_host_ed25519_key": b"-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n-----END OPENSSH PRIVATE KEY-----\n",
    "ssh_host_ed25519_key.pub": b"ssh-ed25519 public deb01\n",
}
MASTER = (text("usr/bin/cloud-init", ""), text("etc/cloud/cloud.cfg", ""))


def told(**changes: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Meta-data, network-config and user-data, as cloud-init reads them."""
    documents = nocloud.documents(guest(**changes), Path.read_bytes, KEYS)
    assert documents["user-data"].startswith("#cloud-config\n")
    meta, network, user = (yaml.safe_load(documents[name]) for name in ("meta-data", "network-config", "user-data"))
    return meta, network, user


def test_names() -> None:
    meta, _, user = told(name="deb01.example.org")
    assert meta == {"instance-id": str(DOMAIN_UUID), "local-hostname": "deb01.example.org"}
    assert (user["hostname"], user["fqdn"], user["manage_etc_hosts"]) == ("deb01", "deb01.example.org", "localhost")


def test_what_is_regional() -> None:
    _, _, user = told(timezone="Europe/Berlin", locale="de_DE.UTF-8", keyboard="de-nodeadkeys")
    assert (user["timezone"], user["locale"]) == ("Europe/Berlin", "de_DE.UTF-8")
    assert user["keyboard"] == {"layout": "de", "variant": "nodeadkeys"}
    _, _, user = told()
    assert (user["locale"], user.keys() & {"timezone", "keyboard"}) == ("false", set())


def test_network() -> None:
    _, network, _ = told(nics=(FULL, VLAN, DHCP6, SILENT))
    assert network["version"] == 2
    assert network["ethernets"]["net0"] == {
        "match": {"macaddress": FULL.mac},
        "set-name": "net0",
        "mtu": 9000,
        "dhcp4": False,
        "dhcp6": False,
        "accept-ra": False,
        "addresses": [str(address) for address in FULL.addresses],
        "gateway4": "10.0.0.1",
        "gateway6": "fe80::1",
        "routes": [{"to": str(route.to), "via": str(route.via)} for route in FULL.routes],
        "nameservers": {"addresses": ["10.0.0.1", "fd00::1"], "search": ["a.example", "b.example"]},
    }
    assert network["ethernets"]["net1"] == {
        "match": {"macaddress": VLAN.mac},
        "set-name": "net1",
        "mtu": 1400,
        "dhcp4": False,
        "dhcp6": False,
    }
    assert network["vlans"] == {
        "net1.10": {
            "id": 10,
            "link": "net1",
            "mtu": 1400,
            "dhcp4": False,
            "dhcp6": False,
            "accept-ra": True,
            "addresses": ["10.1.0.11/24"],
        }
    }
    assert network["ethernets"]["net2"]["dhcp6"] is True
    assert network["ethernets"]["net3"]["accept-ra"] is False


def test_a_single_card_and_none() -> None:
    _, network, _ = told()
    assert network["ethernets"].keys() == {"eth0"}
    assert told(nics=())[1] == {"version": 2, "ethernets": {}}


def test_users(tmp_path: Path) -> None:
    (tmp_path / "admin.pub").write_text(f"{ECDSA} file\n")
    everything = User(
        name="admin",
        keys=(f"{ED25519} list", tmp_path / "admin.pub"),
        password=YESCRYPT,
        sudo=("ALL=(ALL:ALL) ALL",),
        groups=("adm", "sudo"),
        shell=PurePosixPath("/bin/sh"),
        uid=2000,
        home=PurePosixPath("/srv/admin"),
        comment="Ädmin",
    )
    _, _, user = told(users=(everything, User(name="plain"), User(name="gone", locked=True, password=YESCRYPT)))
    assert user["users"] == [
        {
            "name": "admin",
            "shell": "/bin/sh",
            "gecos": "Ädmin",
            "homedir": "/srv/admin",
            "uid": 2000,
            "groups": ["adm", "sudo"],
            "sudo": "ALL=(ALL:ALL) ALL",
            "ssh_authorized_keys": [f"{ED25519} list", f"{ECDSA} file"],
            "hashed_passwd": YESCRYPT,
            "lock_passwd": False,
        },
        {"name": "plain", "shell": "/bin/bash", "lock_passwd": True},
        {
            "name": "gone",
            "shell": "/bin/bash",
            "hashed_passwd": YESCRYPT,
            "expiredate": "1970-01-02",
            "lock_passwd": True,
        },
    ]
    assert "ssh_authorized_keys" not in user
    assert user["disable_root"] is False


def test_root_has_its_keys_and_its_password_as_they_are() -> None:
    _, _, user = told(users=(User(name="root", keys=(ED25519,)),))
    assert (user["users"], user["ssh_authorized_keys"]) == ([], [ED25519])
    _, _, user = told(users=(User(name="root", keys=(ED25519,), password=YESCRYPT),))
    (root,) = user["users"]
    assert root == {
        "name": "root",
        "ssh_authorized_keys": [ED25519],
        "hashed_passwd": YESCRYPT,
        "lock_passwd": False,
    }


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (
            (HostKey.ED25519,),
            {
                "ed25519_private": KEYS["ssh_host_ed25519_key"].decode(),
                "ed25519_public": KEYS["ssh_host_ed25519_key.pub"].decode(),
            },
        ),
        ((), {}),
        (None, None),
    ],
)
def test_host_keys(kinds: tuple[HostKey, ...] | None, expected: dict[str, str] | None) -> None:
    _, _, user = told(host_keys=kinds)
    assert user["ssh_deletekeys"] is True
    assert user.get("ssh_keys") == expected


def on_disk(*more: Entry, **changes: Any) -> list[Entry]:
    whose = guest(identity=Identity.CLOUD_INIT, host_keys=(HostKey.ED25519,), **changes)
    return guestos.identity(whose, tree(*MASTER, *more), Path.read_bytes, {}, walk)


def test_what_is_on_the_root_disk() -> None:
    users = (User(name="admin", keys=(ED25519,), password=YESCRYPT),)
    there = [text("etc/ssh/ssh_host_rsa_key", ""), text("usr/sbin/sshd", ""), text("etc/hostname", "master\n")]
    layer = on_disk(*there, users=users)
    assert contents(layer).keys() == {"etc/fstab", "etc/resolv.conf", "etc/machine-id"}
    assert contents(layer)["etc/machine-id"].decode() == f"{MACHINE_ID}\n"
    gone = {entry.path for entry in layer if isinstance(entry, Removal)}
    assert {"etc/cloud/cloud-init.disabled", "var/lib/cloud", "etc/ssh/ssh_host_rsa_key"} <= gone


@pytest.mark.parametrize(
    "settings",
    [
        (file("etc/cloud/cloud.cfg.d/90_dpkg.cfg", b"datasource_list: [ NoCloud, ConfigDrive, None ]\n"),),
        (
            file("etc/cloud/cloud.cfg.d/10_aws.cfg", b"datasource_list: [ Ec2 ]\n"),
            file("etc/cloud/cloud.cfg.d/90_own.cfg", b"datasource_list: [ NoCloud ]\n"),
        ),
        (file("etc/cloud/cloud.cfg.d/90_dpkg.cfg.dpkg-old", b"datasource_list: [ Ec2 ]\n"),),
    ],
)
def test_a_master_that_reads_seeds(settings: tuple[File, ...]) -> None:
    assert on_disk(*settings)


def test_a_master_that_reads_none() -> None:
    with pytest.raises(MasterError, match="the master has no cloud-init"):
        guestos.identity(guest(identity=Identity.CLOUD_INIT), tree(), Path.read_bytes, {}, walk)
    with pytest.raises(MasterError, match=r"90_dpkg\.cfg in the master leaves NoCloud out"):
        on_disk(file("etc/cloud/cloud.cfg.d/90_dpkg.cfg", b"datasource_list: [ Ec2, None ]\n"))


def test_a_master_that_would_set_no_routes() -> None:
    """cloud-init has ifupdown run route(8) for them, and goes on without it; its other writers need none."""
    writer = "usr/lib/python3/dist-packages/cloudinit/net/eni.py"
    ifupdown = [text("usr/sbin/ifup", "", 0o755), text(writer, 'up = indent + "post-up route add"\n')]
    with pytest.raises(MasterError, match=r"network\.routes: .* by route\(8\), which is not there"):
        on_disk(*ifupdown, nics=(FULL,))
    assert on_disk(*ifupdown, nics=(SILENT,))
    assert on_disk(*ifupdown, text("usr/sbin/route", "", 0o755), nics=(FULL,))
    assert on_disk(*ifupdown, text(writer, ""), nics=(FULL,))
    assert on_disk(ifupdown[1], nics=(FULL,))


HEAD = """\
farm: f
masters:
  plain: {bootstrap: {suite: bookworm}}
  cloud: {bootstrap: {suite: bookworm}, identity: cloud-init}
  more: {from: cloud, packages: [nginx]}
  other: {from: cloud, packages: [nginx], identity: files}
defaults: {network: none}
guests:
"""


def load(folder: Path, guests: str) -> Farm:
    (folder / "guests.yaml").write_text(HEAD + guests)
    schemas.check(HEAD + guests)
    return guestlist.load(folder / "guests.yaml", hypervisors=BY_NAME)


@pytest.mark.parametrize(
    ("keys", "identity"),
    [
        ("master: plain", Identity.FILES),
        ("master: plain, identity: cloud-init", Identity.CLOUD_INIT),
        ("master: cloud", Identity.CLOUD_INIT),
        ("master: cloud, identity: files", Identity.FILES),
        ("master: more", Identity.CLOUD_INIT),
        ("master: other", Identity.FILES),
    ],
)
def test_whose_identity_is_cloud_inits(tmp_path: Path, keys: str, identity: Identity) -> None:
    assert load(tmp_path, f"  a: {{{keys}}}\n").guests["a"].identity is identity


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("users: {a: {gid: 7}}", "9:39: guest 'a': users.a.gid: cloud-init has nothing for the number of a group"),
        ("users: {a: {locked: false}}", "users.a.locked: cloud-init unlocks nobody but by a new password"),
        ("users: {root: {shell: /bin/sh}}", "users.root.shell: cloud-init gives root, which is there already"),
        ("users: {root: {sudo: nopasswd}}", "users.root.sudo: cloud-init gives root"),
        ("users: {root: {locked: true}}", "users.root.locked: cloud-init gives root"),
        ("extra: quiet cloud-init=disabled", "cloud-init=disabled turns off what its identity comes from"),
    ],
)
def test_what_cloud_init_cannot_do(tmp_path: Path, keys: str, message: str) -> None:
    with pytest.raises(ListError) as caught:
        load(tmp_path, f"  a: {{master: cloud, {keys}}}\n")
    (problem,) = str(caught.value).splitlines()
    assert message in problem
    assert problem.endswith("; leave it out, or say identity: files")
    assert load(tmp_path, f"  a: {{master: plain, {keys}}}\n")


def test_what_it_can(tmp_path: Path) -> None:
    users = f"root: {{keys: '{ED25519}', password: {YESCRYPT}}}, a: {{locked: false, password: {YESCRYPT}}}"
    assert load(tmp_path, f"  a: {{master: cloud, users: {{{users}}}}}\n")
