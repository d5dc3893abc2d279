"""SSH's host keys: guests must never share the master's, so these go, and each guest gets its own."""

from collections.abc import Iterator, Mapping

from pipeline.errors import MasterError
from pipeline.farm.model import Guest
from pipeline.image.layer import Content, Entry, File, Metadata, Removal, Symlink, text
from pipeline.image.tree import Tree

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


def entries(guest: Guest, tree: Tree, keys: Mapping[str, bytes]) -> Iterator[Entry]:
    """The guest's host keys in place of the master's, if there is an SSH server; `keys` are files of /etc/ssh.

    For guests whose first boot makes their keys, a service that makes what is missing before the server starts. Raises
    MasterError where there is no systemd to do so: the server would have no keys.
    """
    for name in tree.names("etc/ssh"):
        if name.startswith("ssh_host_") and name.endswith(("_key", "_key.pub", "_key-cert.pub")):
            yield Removal(f"etc/ssh/{name}")
    if not tree.exists("usr/sbin/sshd"):
        return
    for name, data in keys.items():
        mode = 0o644 if name.endswith(".pub") else 0o600
        yield File(f"etc/ssh/{name}", Metadata(mode=mode), Content.of(data))
    if guest.host_keys is not None:
        return
    if not tree.exists("etc/systemd/system"):
        raise MasterError(
            "the master has an SSH server but no systemd, which would make its host keys",
            "have them made beforehand: leave out host_keys: first-boot",
        )
    yield text(f"etc/systemd/system/{_NAME}", _UNIT)
    yield Symlink(
        f"etc/systemd/system/multi-user.target.wants/{_NAME}", Metadata(mode=0o777), f"/etc/systemd/system/{_NAME}"
    )
