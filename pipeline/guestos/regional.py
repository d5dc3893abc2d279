"""Where the guest is and what its people speak: time zone, locale and keyboard, where each family keeps them."""

import re
from collections.abc import Iterator

from pipeline.errors import MasterError, did_you_mean, quoted
from pipeline.guestos import configuration
from pipeline.guestos.distribution import Distribution
from pipeline.image.layer.entries import Entry, Metadata, Removal, Symlink
from pipeline.image.layer.tree import Tree
from pipeline.model.guest import Guest
from pipeline.model.master import Family

_ZONES = "usr/share/zoneinfo"
_LOCALES = "usr/lib/locale"
_ARCHIVE_HEAD = 1 << 20
"""Bytes at the start of glibc's locale-archive that have all names in them: its header comes first, then these."""

_KEYMAPS = ("usr/lib/kbd/keymaps", "usr/share/kbd/keymaps", "lib/kbd/keymaps", "usr/share/keymaps")
_CONSOLE_SETUP = "etc/console-setup"
_LAYOUTS = "usr/share/X11/xkb/symbols"


def entries(guest: Guest, tree: Tree, system: Distribution) -> Iterator[Entry]:
    """What the guest has of its own. Raises MasterError for what the master does not know."""
    if guest.timezone is not None:
        yield from _time_zone(guest.timezone, tree, system)
    if guest.locale is not None:
        yield from _locale(guest.locale, tree, system)
    if guest.keyboard is not None:
        yield from _keyboard(guest.keyboard, tree, system)


def _time_zone(zone: str, tree: Tree, system: Distribution) -> Iterator[Entry]:
    path = f"{_ZONES}/{zone}"
    if not tree.exists(path) or tree.names(path):
        region, _, _ = zone.rpartition("/")
        known = [f"{region}/{name}".lstrip("/") for name in tree.names(f"{_ZONES}/{region}")]
        hint = did_you_mean(zone, known) or ("see tzselect(8)" if tree.names(_ZONES) else "install tzdata")
        raise MasterError(f"timezone: there is no time zone {quoted(zone)} in it", hint)
    # So localtime(5) wants it; the C library followed it long before.
    yield Symlink("etc/localtime", Metadata(mode=0o777), f"../{path}")
    if system.family is Family.DEBIAN:
        yield from configuration.written(tree, "etc/timezone", f"{zone}\n")
    elif not system.systemd and system.family is Family.REDHAT:
        yield from configuration.changed(tree, "etc/sysconfig/clock", {"ZONE": zone})
    elif not system.systemd and system.family is Family.SUSE:
        yield from configuration.changed(tree, "etc/sysconfig/clock", {"TIMEZONE": zone})


def _locale(locale: str, tree: Tree, system: Distribution) -> Iterator[Entry]:
    if not _has_locale(locale, tree):
        language = locale.partition("_")[0]
        raise MasterError(
            f"locale: there is no locale {quoted(locale)} in it",
            f"install locales-all (Debian), glibc-langpack-{language} (Red Hat) or glibc-locale (SuSE)",
        )
    match system.family:
        case Family.DEBIAN:
            yield from configuration.changed(tree, "etc/default/locale", {"LANG": locale})
        case Family.REDHAT if not system.systemd:
            yield from configuration.changed(tree, "etc/sysconfig/i18n", {"LANG": locale})
        case Family.SUSE if not system.systemd:
            yield from configuration.changed(tree, "etc/sysconfig/language", {"RC_LANG": locale})
        case _:
            yield from configuration.changed(tree, "etc/locale.conf", {"LANG": locale})


def _has_locale(locale: str, tree: Tree) -> bool:
    """Whether glibc would find it, as far as can be told: other C libraries have no files of that kind."""
    compiled = tree.names(_LOCALES)
    if locale in ("C", "POSIX") or not compiled:
        return True
    rest, at, modifier = locale.partition("@")
    name, dot, codeset = rest.partition(".")
    # As glibc writes a codeset in file names (_nl_normalize_codeset): UTF-8 is utf8, 8859-1 is iso88591.
    codeset = re.sub("[^a-z0-9]", "", codeset.lower())
    codeset = f"iso{codeset}" if codeset.isdigit() else codeset
    normal = f"{name}{dot}{codeset}{at}{modifier}"
    if locale in compiled or normal in compiled:
        return True
    if "locale-archive" not in compiled:
        return False
    archive = tree.read(f"{_LOCALES}/locale-archive", _ARCHIVE_HEAD)
    return re.search(rb"(?<![A-Za-z])" + re.escape(normal.encode()) + rb"\0", archive) is not None


def _keyboard(keyboard: str, tree: Tree, system: Distribution) -> Iterator[Entry]:
    if system.family is Family.DEBIAN:
        layout, _, variant = keyboard.partition("-")
        if not tree.exists(f"{_LAYOUTS}/{layout}"):
            raise _unknown_keyboard(keyboard, did_you_mean(layout, tree.names(_LAYOUTS)) or "install console-setup")
        settings = {"XKBMODEL": "pc105", "XKBLAYOUT": layout, "XKBVARIANT": variant, "XKBOPTIONS": ""}
        yield from configuration.changed(tree, "etc/default/keyboard", settings)  # keyboard(5)
        for name in tree.names(_CONSOLE_SETUP):  # it takes what it made of the settings before, while that is there
            if name == "cached_setup_keyboard.sh" or name.endswith(".kmap.gz"):
                yield Removal(f"{_CONSOLE_SETUP}/{name}")
        return
    known = {name.partition(".map")[0] for root in _KEYMAPS for name in _files(tree, root) if ".map" in name}
    if keyboard not in known:
        raise _unknown_keyboard(keyboard, did_you_mean(keyboard, sorted(known)) or "install kbd, and its keymaps")
    if system.systemd or system.family not in (Family.REDHAT, Family.SUSE):
        yield from configuration.changed(tree, "etc/vconsole.conf", {"KEYMAP": keyboard})
    else:
        yield from configuration.changed(tree, "etc/sysconfig/keyboard", {"KEYTABLE": keyboard})


def _unknown_keyboard(keyboard: str, hint: str) -> MasterError:
    return MasterError(f"keyboard: there is no layout {quoted(keyboard)} in it", hint)


def _files(tree: Tree, folder: str, depth: int = 0) -> Iterator[str]:
    """The names of all files under `folder`; symlinks among the directories, which there are, end somewhere."""
    deepest = 4
    for name in tree.names(folder):
        if ".map" in name:
            yield name
        elif depth < deepest:
            yield from _files(tree, f"{folder}/{name}", depth + 1)
