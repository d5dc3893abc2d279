"""SSH's host keys: guests must never share the master's, so these go, and each guest gets its own."""

import re
from collections.abc import Iterator, Mapping

from pipeline.errors import MasterError
from pipeline.guestos import configuration
from pipeline.image.layer.entries import Content, Entry, File, Metadata, Removal, Symlink, text
from pipeline.image.layer.tree import Tree, resolve
from pipeline.model.guest import Guest

# Sockets are there before the services that have default dependencies.
_UNIT = """\
[Unit]
Description=SSH host keys of this guest
Documentation=man:ssh-keygen(1)
DefaultDependencies=no
After=local-fs.target
Before=ssh.service ssh.socket sshd.service sshd.socket
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
"""
_NAME = "guest-ssh-host-keys.service"

_SCRIPTS = ("etc/init.d/sshd", "etc/rc.d/init.d/sshd", "etc/rc.d/rc.sshd", "etc/init.d/ssh")
"""What starts the server without systemd. Red Hat's, SuSE's, Alpine's and Slackware's make the keys that are missing,
as their own lines say; Debian's does not: there, it is the package that makes them, when it is installed."""
_MAKES_KEYS = re.compile(r"^[^#\n]*\bssh-keygen\b", re.MULTILINE)
_TOLD_NOT_TO = {  # by the settings of Red Hat's script, and of Alpine's
    "etc/sysconfig/sshd": re.compile(r"^\s*AUTOCREATE_SERVER_KEYS=[\"']?NO\b", re.MULTILINE),
    "etc/conf.d/sshd": re.compile(r"^\s*sshd_disable_keygen=[\"']?yes\b", re.MULTILINE),
}


def entries(guest: Guest, tree: Tree, keys: Mapping[str, bytes]) -> Iterator[Entry]:
    """The guest's host keys in place of the master's, if there is an SSH server; `keys` are files of /etc/ssh.

    For guests whose first boot makes their keys, a service that makes what is missing before the server starts; without
    systemd, the server's own init script has to. Raises MasterError where that does not: the server would have no keys.
    """
    yield from removals(tree)
    if not tree.exists("usr/sbin/sshd"):
        return
    for name, data in keys.items():
        mode = 0o644 if name.endswith(".pub") else 0o600
        yield File(f"etc/ssh/{name}", Metadata(mode=mode), Content.of(data))
    if guest.host_keys is not None:
        return
    if not _is_started_by_systemd(tree):
        _check_script(tree)
        return
    yield text(f"etc/systemd/system/{_NAME}", _UNIT)
    yield Symlink(
        f"etc/systemd/system/multi-user.target.wants/{_NAME}", Metadata(mode=0o777), f"/etc/systemd/system/{_NAME}"
    )


def removals(tree: Tree) -> Iterator[Entry]:
    """What takes the master's host keys away."""
    for name in tree.names("etc/ssh"):
        if name.startswith("ssh_host_") and name.endswith(("_key", "_key.pub", "_key-cert.pub")):
            yield Removal(f"etc/ssh/{name}")


def _is_started_by_systemd(tree: Tree) -> bool:
    """Whether the first program is systemd; a tree may have its folders, and another init."""
    init = resolve(tree, "sbin/init")
    return tree.exists("etc/systemd/system") and (init.endswith("/systemd") or not tree.exists(init))


def _check_script(tree: Tree) -> None:
    """Raise MasterError unless what starts the server makes the keys that are missing."""
    if any(told.search(configuration.there(tree, path)) for path, told in _TOLD_NOT_TO.items()):
        raise MasterError(
            "the master has an SSH server whose init script is told not to make host keys",
            "have them made beforehand: leave out host_keys: first-boot",
        )
    if not any(_MAKES_KEYS.search(configuration.there(tree, path)) for path in _SCRIPTS):
        raise MasterError(
            "the master has an SSH server but no systemd, nor an init script that would make its host keys",
            "have them made beforehand: leave out host_keys: first-boot",
        )
