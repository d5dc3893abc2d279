"""GRUB with a script inside that boots a Linux from its root file system: for the PC's BIOS, and for UEFI.

GRUB's manual (https://www.gnu.org/software/grub/manual/grub) has the script's language and grub-mkimage.
"""

import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from uuid import UUID

from pipeline import process
from pipeline.errors import ImageError
from pipeline.image.layer.entries import EPOCH

_PROGRAMS = ("grub-mkimage", "grub2-mkimage")
"""What it is called by Debian, and by Red Hat and SuSE."""
_FOLDERS = ("/usr/lib/grub", "/usr/share/grub2", "/usr/lib/grub2")
_BIOS, _UEFI = "i386-pc", "x86_64-efi"
_PACKAGES = {_BIOS: "grub-common and grub-pc-bin", _UEFI: "grub-common and grub-efi-amd64-bin"}

# What finds the disks and reads the script; what the script says; what grub.cfg files by grub-mkconfig ask for.
_MODULES: tuple[str, ...] = ("memdisk", "tar", "normal", "part_msdos", "part_gpt", "ext2")
_MODULES += ("configfile", "echo", "linux", "ls", "regexp", "search", "search_fs_uuid", "serial", "test")
_MODULES += ("all_video", "cat", "font", "gfxterm", "gzio", "halt", "loadenv", "reboot", "search_label", "sleep")
_ONLY_BIOS = ("biosdisk",)
_PREFIX = "(memdisk)/boot/grub"
_SCRIPT = "boot/grub/grub.cfg"

PLACE = "UUID={}"
"""How the kernel and its initrd are told which file system is the root."""

_TEXT = """\
serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial

function boot_linux {{
    echo "Booting $1"
    linux "$1" root={place} ro{arguments}
    initrd "$2"
    boot
}}

if ! search --no-floppy --fs-uuid --set=root {uuid}; then
    echo "There is no file system with the UUID {uuid} on any disk."
elif [ -s /boot/grub/grub.cfg ]; then
    set prefix="($root)/boot/grub"
    configfile /boot/grub/grub.cfg
else{named}
    if [ -s /vmlinuz -a -s /initrd.img ]; then
        boot_linux /vmlinuz /initrd.img
    fi
    if [ -s /boot/vmlinuz ]; then
        for ramdisk in /boot/initrd.img /boot/initrd; do
            if [ -s "$ramdisk" ]; then
                boot_linux /boot/vmlinuz "$ramdisk"
            fi
        done
    fi
    set newest=
    for file in /boot/vmlinuz-*; do
        regexp --set=1:release "^/boot/vmlinuz-(.*)" "$file"
        for name in "initrd.img-$release" "initramfs-$release.img" "initrd-$release"; do
            if [ -s "$file" -a -s "/boot/$name" ]; then
                if [ -z "$newest" -o "$file" -nt "$newest" ]; then
                    set newest="$file"
                    set ramdisk="/boot/$name"
                fi
            fi
        done
    done
    if [ -n "$newest" ]; then
        boot_linux "$newest" "$ramdisk"
    fi
    echo "There is no kernel with an initrd in the root file system."
fi
"""
_NAMED = """
    if [ -s {kernel} -a -s {initrd} ]; then
        boot_linux {kernel} {initrd}
    fi"""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and its initrd by their paths in the root file system, to be tried before all others."""

    kernel: PurePosixPath
    initrd: PurePosixPath


def script(root: UUID, arguments: Sequence[str] = (), kernel: Kernel | None = None) -> str:
    """What GRUB does: find the file system `root` on whatever disk it is, and boot what is in it.

    That is its own /boot/grub/grub.cfg, or else `kernel`, what /vmlinuz and /boot/vmlinuz lead to, or the newest kernel
    in /boot, with `arguments` for it. GRUB puts in quotes what it hands to the kernel, where there is a blank in it.
    """
    named = "" if kernel is None else _NAMED.format(kernel=_word(str(kernel.kernel)), initrd=_word(str(kernel.initrd)))
    words = "".join(f" {_word(argument)}" for argument in arguments)
    return _TEXT.format(uuid=root, place=PLACE.format(root), arguments=words, named=named)


def for_bios(script: str) -> tuple[bytes, bytes]:
    """GRUB's boot sector, and its core image with `script` inside, which is to follow that sector on the disk.

    Raises ImageError if GRUB is not installed, or ProcessError.
    """
    image = _made(_BIOS, script, _ONLY_BIOS)
    return (_modules(_BIOS) / "boot.img").read_bytes(), image


def for_uefi(script: str) -> bytes:
    """GRUB as a program for UEFI, with `script` inside. Raises as for_bios()."""
    return _made(_UEFI, script, ())


def version() -> str:
    """The version of GRUB, as "grub-mkimage (GRUB) 2.06-13+deb12u2"; "none" where it is missing."""
    name = _program()
    return process.version(name, "--version").rpartition("/")[2] if name else "none"


def _made(platform: str, text: str, modules: Sequence[str]) -> bytes:
    folder, name = _modules(platform), _program()
    if name is None:
        raise _missing("grub-mkimage", platform)
    with TemporaryDirectory(prefix="grub-") as scratch:
        memdisk, image = Path(scratch, "memdisk.tar"), Path(scratch, "image")
        memdisk.write_bytes(_archive(text))
        options: list[str | Path] = ["--format", platform, "--directory", folder, "--prefix", _PREFIX]
        options += ["--memdisk", memdisk, "--output", image]
        process.run([name, *options, *modules, *_MODULES])
        return image.read_bytes()


def _modules(platform: str) -> Path:
    for folder in _FOLDERS:
        if Path(folder, platform, "kernel.img").exists():
            return Path(folder, platform)
    raise _missing(f"{platform}/kernel.img", platform)


def _program() -> str | None:
    return next(filter(process.available, _PROGRAMS), None)


def _missing(what: str, platform: str) -> ImageError:
    return ImageError(
        f"GRUB is not installed: there is no {what}",
        f"a guest that boots from its disk needs it; in Debian it is in {_PACKAGES[platform]}",
    )


def _archive(text: str) -> bytes:
    """A tar file with the script, of the oldest kind that GRUB reads; the same script gives the same bytes."""
    data, written = text.encode(), BytesIO()
    with tarfile.open(fileobj=written, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(_SCRIPT)
        member.size, member.mtime = len(data), EPOCH
        archive.addfile(member, BytesIO(data))
    return written.getvalue()


def _word(text: str) -> str:
    """`text` as one word of the script's language, in which single quotes are what they are to sh(1)."""
    return "'" + text.replace("'", "'\\''") + "'"
