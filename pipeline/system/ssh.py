"""SSH's host keys: guests must never share the master's, so these are removed, and the first boot makes new ones."""

from collections.abc import Iterator

from pipeline.errors import MasterError
from pipeline.image.layer import Entry, Metadata, Removal, Symlink, text
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


def entries(tree: Tree) -> Iterator[Entry]:
    """No host keys; and in masters with an SSH server, a service that makes what is missing before it starts.

    Raises MasterError for an SSH server without systemd: it would have no keys.
    """
    for name in tree.names("etc/ssh"):
        if name.startswith("ssh_host_") and name.endswith(("_key", "_key.pub", "_key-cert.pub")):
            yield Removal(f"etc/ssh/{name}")
    if not tree.exists("usr/sbin/sshd"):
        return
    if not tree.exists("etc/systemd/system"):
        raise MasterError("the master has an SSH server but no systemd, which would make its host keys")
    yield text(f"etc/systemd/system/{_NAME}", _UNIT)
    yield Symlink(
        f"etc/systemd/system/multi-user.target.wants/{_NAME}", Metadata(mode=0o777), f"/etc/systemd/system/{_NAME}"
    )
