"""mmdebstrap as it is called; tests/boot runs the real one."""

from pathlib import Path

import pytest

from pipeline.errors import ProcessError
from pipeline.image.sources import mmdebstrap as bootstrap
from pipeline.image.sources.mmdebstrap import Packages

pytestmark = pytest.mark.unit

# Writes down its arguments and its environment, one a line, in place of the tar file that it was asked for.
STUB = """\
#!/bin/sh
for argument; do
    case $argument in *.tar) tar=$argument ;; esac
done
printf '%s\\n' "$@" >"$tar"
env | LC_ALL=C sort >"$tar.env"
"""


@pytest.fixture
def mmdebstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    program = tmp_path / "bin/mmdebstrap"
    program.parent.mkdir()
    program.write_text(STUB)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    return program


HOOKS = [
    'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"',
    'rm -f "$1"/etc/ssh/ssh_host_*_key "$1"/etc/ssh/ssh_host_*_key.pub',
    ': > "$1/etc/machine-id"',
]
CALLS = {
    "least": (
        Packages(
            suite="bookworm", variant="minbase", include=(), components=(), mirrors=(), keyring=None, customize=()
        ),
        [
            "--variant=minbase",
            "--format=tar",
            '--aptopt=Acquire::Languages "none"',
            *(f"--customize-hook={hook}" for hook in HOOKS),
            "bookworm",
            "{tar}",
        ],
    ),
    "most": (
        Packages(
            suite="trixie",
            variant="important",
            include=("linux-image-amd64", "ifupdown"),
            components=("main", "non-free-firmware"),
            mirrors=("http://mirror.example.org/debian", "deb http://example.org/ stable main"),
            keyring=Path("/srv/keys/own.gpg"),
            customize=('chroot "$1" useradd me', 'echo "$1; $(id)"'),
        ),
        [
            "--variant=important",
            "--format=tar",
            '--aptopt=Acquire::Languages "none"',
            "--include=linux-image-amd64",
            "--include=ifupdown",
            "--components=main",
            "--components=non-free-firmware",
            "--keyring=/srv/keys/own.gpg",
            '--customize-hook=chroot "$1" useradd me',
            '--customize-hook=echo "$1; $(id)"',
            *(f"--customize-hook={hook}" for hook in HOOKS),
            "trixie",
            "{tar}",
            "http://mirror.example.org/debian",
            "deb http://example.org/ stable main",
        ],
    ),
}


@pytest.mark.parametrize(("packages", "arguments"), CALLS.values(), ids=CALLS)
def test_arguments(packages: Packages, arguments: list[str], mmdebstrap: Path, tmp_path: Path) -> None:
    tar = tmp_path / "rootfs.tar"
    bootstrap.build(packages, tar)
    assert tar.read_text().splitlines() == [argument.format(tar=tar) for argument in arguments]


def test_environment(mmdebstrap: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    monkeypatch.setenv("DEBOOTSTRAP_DIR", "/somewhere")
    bootstrap.build(CALLS["least"][0], tmp_path / "rootfs.tar")
    found = dict(line.split("=", 1) for line in (tmp_path / "rootfs.tar.env").read_text().splitlines())
    assert {name: found[name] for name in found.keys() - {"PATH", "PWD", "OLDPWD", "SHLVL", "_"}} == {
        "LC_ALL": "C",
        "SOURCE_DATE_EPOCH": "1700000000",
        "TMPDIR": "/var/tmp",
        "TZ": "UTC",
        "http_proxy": "http://proxy:3128",
    }


def test_failure(mmdebstrap: Path, tmp_path: Path) -> None:
    mmdebstrap.write_text("#!/bin/sh\necho 'E: unable to find the archive' >&2\nexit 2\n")
    with pytest.raises(ProcessError, match="mmdebstrap failed with exit code 2:\n  E: unable to find the archive"):
        bootstrap.build(CALLS["least"][0], tmp_path / "rootfs.tar")
