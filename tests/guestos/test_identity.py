"""What a guest does not inherit from its master: keys, seeds and identifiers."""

from pathlib import Path

import pytest

from pipeline import guestos
from pipeline.errors import MasterError
from pipeline.guestos import ssh
from pipeline.image.layer.entries import Entry, File, Removal, text
from pipeline.inputs.tree import walk
from pipeline.model.user import HostKey
from tests.guests import MACHINE_ID, guest
from tests.layers import contents, file, link, targets, tree

pytestmark = pytest.mark.unit

SYSTEMD = text("etc/systemd/system/default.target", "")


def removed(*layer: Entry) -> set[str]:
    entries = guestos.identity(guest(nics=()), tree(*layer), Path.read_bytes, {}, walk)
    return {entry.path for entry in entries if isinstance(entry, Removal)}


def test_machine_id_is_the_guests_own() -> None:
    written = contents(guestos.identity(guest(nics=()), tree(), Path.read_bytes, {}, walk))
    assert written["etc/machine-id"] == f"{MACHINE_ID}\n".encode()


def test_what_goes_always() -> None:
    assert removed() == {
        "var/lib/dbus/machine-id",
        "var/lib/systemd/random-seed",
        "var/lib/systemd/credential.secret",
        "etc/udev/rules.d/70-persistent-net.rules",
    }


def test_machine_id_of_dbus_stays_where_it_is_a_symlink() -> None:
    assert "var/lib/dbus/machine-id" not in removed(link("var/lib/dbus/machine-id", "/etc/machine-id"))


def test_all_host_keys_go_and_nothing_else_of_ssh() -> None:
    keys = {
        f"etc/ssh/ssh_host_{kind}_key{end}"
        for kind in ("rsa", "dsa", "ecdsa", "ed25519")
        for end in ("", ".pub", "-cert.pub")
    }
    others = ["ssh_config", "sshd_config", "moduli", "ssh_import_id", "ssh_host_notes"]
    layer = [text(path, "") for path in sorted(keys)] + [text(f"etc/ssh/{name}", "") for name in others]
    assert {path for path in removed(*layer) if path.startswith("etc/ssh/")} == keys


def test_first_boot_makes_new_host_keys() -> None:
    layer = list(ssh.entries(guest(), tree(text("usr/sbin/sshd", ""), SYSTEMD), {}))
    unit = "etc/systemd/system/guest-ssh-host-keys.service"
    lines = contents(layer)[unit].decode().splitlines()
    assert "ExecStart=/usr/bin/ssh-keygen -A" in lines
    assert "Before=ssh.service ssh.socket sshd.service sshd.socket" in lines
    assert "DefaultDependencies=no" in lines, "or it comes after basic.target, and that after ssh.socket"
    wanted = "etc/systemd/system/multi-user.target.wants/guest-ssh-host-keys.service"
    assert targets(layer) == {wanted: f"/{unit}"}


def test_keys_go_even_without_a_server() -> None:
    key = "etc/ssh/ssh_host_rsa_key"
    assert list(ssh.entries(guest(), tree(text(key, "")), {"ssh_host_rsa_key": b"ours"})) == [Removal(key)]


def test_a_server_that_nobody_would_make_keys_for() -> None:
    with pytest.raises(MasterError, match="an SSH server but no systemd"):
        list(ssh.entries(guest(), tree(text("usr/sbin/sshd", "")), {}))


# What matters of the scripts of RHEL 6, SLES 11, Alpine 3 and Debian 7.
SERVER = text("usr/sbin/sshd", "")
RED_HAT = text(
    "etc/rc.d/init.d/sshd", "#!/bin/bash\nKEYGEN=/usr/bin/ssh-keygen\ndo_rsa_keygen() {\n\t$KEYGEN -q -t rsa\n}\n"
)
SUSE = text("etc/init.d/sshd", "case $1 in\nstart)\n\tssh-keygen -t rsa -b 1024 -f /etc/ssh/ssh_host_rsa_key -N ''\n")
ALPINE = text("etc/init.d/sshd", "#!/sbin/openrc-run\ncheckconfig() {\n\tssh-keygen -A || return 2\n}\n")
DEBIAN = text(
    "etc/init.d/ssh", "#! /bin/sh\n# ssh-keygen is for the package's own scripts\ncheck_config() {\n\tsshd -t\n}\n"
)
SYSVINIT = text("usr/sbin/init", "a program")


@pytest.mark.parametrize("script", [RED_HAT, SUSE, ALPINE], ids=["Red Hat", "SuSE", "Alpine"])
def test_init_scripts_that_make_what_is_missing(script: File) -> None:
    key = "etc/ssh/ssh_host_rsa_key"
    assert list(ssh.entries(guest(), tree(SERVER, script, text(key, "")), {})) == [Removal(key)]


@pytest.mark.parametrize(
    "settings",
    [text("etc/sysconfig/sshd", "AUTOCREATE_SERVER_KEYS=NO\n"), text("etc/conf.d/sshd", 'sshd_disable_keygen="yes"\n')],
)
def test_init_scripts_that_are_told_not_to(settings: File) -> None:
    with pytest.raises(MasterError, match="told not to make host keys"):
        list(ssh.entries(guest(), tree(SERVER, RED_HAT, settings), {}))


@pytest.mark.parametrize("more", [(), (SYSVINIT, link("sbin", "usr/sbin"), SYSTEMD)], ids=["alone", "beside systemd"])
def test_debians_init_script_makes_none(more: tuple[Entry, ...]) -> None:
    with pytest.raises(MasterError, match="no systemd, nor an init script"):
        list(ssh.entries(guest(), tree(SERVER, DEBIAN, *more), {}))


@pytest.mark.parametrize("script", [RED_HAT, SUSE, ALPINE, DEBIAN], ids=["Red Hat", "SuSE", "Alpine", "Debian"])
def test_keys_that_are_made_beforehand_need_no_init(script: File) -> None:
    keys = {"ssh_host_rsa_key": b"secret", "ssh_host_rsa_key.pub": b"public"}
    layer = list(ssh.entries(guest(host_keys=(HostKey.RSA,)), tree(SERVER, script), keys))
    assert contents(layer) == {f"etc/ssh/{name}": data for name, data in keys.items()}
    assert [entry.metadata.mode for entry in layer if isinstance(entry, File)] == [0o600, 0o644]


def test_files_that_are_no_utf8_come_through() -> None:
    master = tree(file("etc/hosts", b"# B\xfcro\n127.0.0.1 localhost\n"), file("etc/fstab", b"# B\xfcro\n"))
    written = contents(guestos.identity(guest(nics=()), master, Path.read_bytes, {}, walk))
    assert written["etc/hosts"].startswith(b"# B\xfcro\n127.0.0.1 localhost\n")
    assert written["etc/fstab"].startswith(b"# B\xfcro\n")
