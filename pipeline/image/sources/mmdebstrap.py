"""Masters made of Debian's packages, by mmdebstrap."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import process
from pipeline.image.layer.entries import EPOCH

RECIPE = 1
"""Raise it when the same settings give another master: what was made by an older recipe is stale."""

_OUR_HOOKS = (
    # mmdebstrap copies these two from the host that it runs on.
    'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
    # Keys that guests must not share, and that would be others each time.
    'rm -f "$1"/etc/ssh/ssh_host_*_key "$1"/etc/ssh/ssh_host_*_key.pub',
    ': > "$1/etc/machine-id"',
)
ENVIRONMENT = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "TMPDIR", "HOME")
"""What apt and mmdebstrap need to know of the host: the way to the mirror, and where there is room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packages:
    """What to install, in mmdebstrap(1)'s terms."""

    suite: str
    variant: str
    include: Sequence[str]
    components: Sequence[str]
    mirrors: Sequence[str]
    keyring: Path | None
    customize: Sequence[str]


def build(packages: Packages, tar: Path) -> None:
    """Make `tar`, a new file, of Debian's packages: the same tar for the same packages. Works as root and as a user.

    Raises ProcessError.
    """
    options = [f"--variant={packages.variant}", "--format=tar", '--aptopt=Acquire::Languages "none"']
    options += [f"--include={name}" for name in packages.include]
    options += [f"--components={name}" for name in packages.components]
    options += [f"--keyring={packages.keyring}"] if packages.keyring else []
    options += [f"--customize-hook={hook}" for hook in (*packages.customize, *_OUR_HOOKS)]
    process.run(
        ["mmdebstrap", *options, packages.suite, tar, *packages.mirrors],
        environment={"SOURCE_DATE_EPOCH": str(EPOCH), **process.inherited(*ENVIRONMENT)},
    )


def version() -> str:
    """The version of mmdebstrap, as "mmdebstrap 1.3.5"."""
    return process.version("mmdebstrap", "--version")
