"""Time zone, locale and keyboard: where each family keeps them, and what a master does not know."""

import pytest

from pipeline.errors import MasterError
from pipeline.guestos import regional
from pipeline.guestos.distribution import Distribution
from pipeline.image.layer.entries import Entry, Removal, text
from pipeline.model.master import Family
from tests.guests import guest
from tests.layers import contents, file, link, rooted, targets

pytestmark = pytest.mark.unit

WHERE = {"timezone": "Europe/Berlin", "locale": "de_DE.UTF-8", "keyboard": "de-nodeadkeys"}
KNOWN = [
    text("usr/share/zoneinfo/Europe/Berlin", "TZif2"),
    text("usr/share/zoneinfo/Europe/Bern", "TZif2"),
    text("usr/share/zoneinfo/UTC", "TZif2"),
    text("usr/lib/locale/C.utf8/LC_CTYPE", ""),
    text("usr/lib/locale/de_DE.utf8/LC_CTYPE", ""),
    text("usr/share/X11/xkb/symbols/de", ""),
    text("usr/lib/kbd/keymaps/xkb/de-nodeadkeys.map.gz", ""),
    text("usr/lib/kbd/keymaps/legacy/i386/qwertz/de.map.gz", ""),
]

FAMILIES = {
    "Debian": (
        Distribution(Family.DEBIAN, systemd=True),
        {
            "etc/timezone": "Europe/Berlin\n",
            "etc/default/locale": "LANG=de_DE.UTF-8\n",
            "etc/default/keyboard": 'XKBMODEL=pc105\nXKBLAYOUT=de\nXKBVARIANT=nodeadkeys\nXKBOPTIONS=""\n',
        },
    ),
    "Red Hat from 7 on": (
        Distribution(Family.REDHAT, systemd=True),
        {"etc/locale.conf": "LANG=de_DE.UTF-8\n", "etc/vconsole.conf": "KEYMAP=de-nodeadkeys\n"},
    ),
    "Red Hat up to 6": (
        Distribution(Family.REDHAT, systemd=False),
        {
            "etc/sysconfig/clock": "ZONE=Europe/Berlin\n",
            "etc/sysconfig/i18n": "LANG=de_DE.UTF-8\n",
            "etc/sysconfig/keyboard": "KEYTABLE=de-nodeadkeys\n",
        },
    ),
    "SuSE from 12 on": (
        Distribution(Family.SUSE, systemd=True),
        {"etc/locale.conf": "LANG=de_DE.UTF-8\n", "etc/vconsole.conf": "KEYMAP=de-nodeadkeys\n"},
    ),
    "SuSE up to 11": (
        Distribution(Family.SUSE, systemd=False),
        {
            "etc/sysconfig/clock": "TIMEZONE=Europe/Berlin\n",
            "etc/sysconfig/language": "RC_LANG=de_DE.UTF-8\n",
            "etc/sysconfig/keyboard": "KEYTABLE=de-nodeadkeys\n",
        },
    ),
    "others": (
        Distribution(Family.GENERIC, systemd=False),
        {"etc/locale.conf": "LANG=de_DE.UTF-8\n", "etc/vconsole.conf": "KEYMAP=de-nodeadkeys\n"},
    ),
}


@pytest.mark.parametrize(("system", "expected"), FAMILIES.values(), ids=FAMILIES)
def test_where_it_is_kept(system: Distribution, expected: dict[str, str]) -> None:
    layer = list(regional.entries(guest(**WHERE), rooted(*KNOWN), system))
    assert {path: data.decode() for path, data in contents(layer).items()} == expected
    assert targets(layer) == {"etc/localtime": "../usr/share/zoneinfo/Europe/Berlin"}


def test_what_nobody_says_stays() -> None:
    assert not list(regional.entries(guest(), rooted(*KNOWN), Distribution(Family.DEBIAN, systemd=True)))


def test_other_settings_stay() -> None:
    there = [
        text("etc/default/locale", '# mine\nLANG="C"\nexport LC_TIME=en_GB.UTF-8\nLANG=again\n'),
        text("etc/default/keyboard", 'XKBLAYOUT="us"\nBACKSPACE="guess"\n'),
    ]
    written = contents(
        regional.entries(
            guest(locale="de_DE.UTF-8", keyboard="de"),
            rooted(*KNOWN, *there),
            Distribution(Family.DEBIAN, systemd=True),
        )
    )
    assert written["etc/default/locale"] == b"# mine\nLANG=de_DE.UTF-8\nexport LC_TIME=en_GB.UTF-8\n"
    assert written["etc/default/keyboard"] == (
        b'XKBLAYOUT=de\nBACKSPACE="guess"\nXKBMODEL=pc105\nXKBVARIANT=""\nXKBOPTIONS=""\n'
    )


def test_debian_does_not_keep_the_keymap_that_it_made_before() -> None:
    made = ["cached_setup_keyboard.sh", "cached_UTF-8_del.kmap.gz", "cached_setup_font.sh"]
    layer = [*KNOWN, *(text(f"etc/console-setup/{name}", "") for name in made)]
    entries = regional.entries(guest(keyboard="de"), rooted(*layer), Distribution(Family.DEBIAN, systemd=True))
    assert [entry.path for entry in entries if isinstance(entry, Removal)] == [
        "etc/console-setup/cached_UTF-8_del.kmap.gz",
        "etc/console-setup/cached_setup_keyboard.sh",
    ]


def test_debian_13_has_the_locale_behind_a_symlink() -> None:
    layer: list[Entry] = [*KNOWN, link("etc/default/locale", "../locale.conf"), text("etc/locale.conf", "LANG=C\n")]
    system = Distribution(Family.DEBIAN, systemd=True)
    assert contents(regional.entries(guest(locale="de_DE.UTF-8"), rooted(*layer), system)) == {
        "etc/locale.conf": b"LANG=de_DE.UTF-8\n"
    }


UNKNOWN = {
    "a zone that is misspelt": (
        {"timezone": "Europe/Berlim"},
        KNOWN,
        "timezone: .*'Europe/Berlim' in it; did you mean",
    ),
    "a folder of zones": ({"timezone": "Europe"}, KNOWN, "there is no time zone 'Europe'"),
    "no zones at all": ({"timezone": "Europe/Berlin"}, [], "install tzdata"),
    "a locale that was not made": ({"locale": "fr_FR.UTF-8"}, KNOWN, "locale: .*'fr_FR.UTF-8'.*glibc-langpack-fr"),
    "another codeset": ({"locale": "de_DE.ISO-8859-1"}, KNOWN, "there is no locale"),
    "a layout that is misspelt": ({"keyboard": "de-nodedkeys"}, KNOWN, "keyboard: .*did you mean 'de-nodeadkeys'"),
    "no keymaps at all": ({"keyboard": "de"}, [], "install kbd"),
}


@pytest.mark.parametrize(("wishes", "layer", "said"), UNKNOWN.values(), ids=UNKNOWN)
def test_what_the_master_does_not_know(wishes: dict[str, str], layer: list[Entry], said: str) -> None:
    with pytest.raises(MasterError, match=said):
        list(regional.entries(guest(**wishes), rooted(*layer), Distribution(Family.REDHAT, systemd=True)))


def test_a_layout_that_debian_does_not_know() -> None:
    system = Distribution(Family.DEBIAN, systemd=True)
    for layer, said in ((KNOWN, "did you mean 'de'"), ([], "install console-setup")):
        with pytest.raises(MasterError, match=f"'dee'.*{said}"):
            list(regional.entries(guest(keyboard="dee"), rooted(*layer), system))


LOCALES = {
    "C": ("C", KNOWN, True),
    "C.UTF-8": ("C.UTF-8", KNOWN, True),
    "a C library without locales": ("de_DE.UTF-8", [], True),
    "in the archive": ("ne_NP.UTF-8", [file("usr/lib/locale/locale-archive", b"\0\1\0ne_NP.utf8\0xx")], True),
    "the end of another's name": ("ne_IN.UTF-8", [file("usr/lib/locale/locale-archive", b"\0hne_IN.utf8\0")], False),
    "a name that goes on": ("ne_NP", [file("usr/lib/locale/locale-archive", b"\0ne_NP.utf8\0")], False),
    "digits": ("de_DE.8859-15@euro", [text("usr/lib/locale/de_DE.iso885915@euro/LC_CTYPE", "")], True),
}


@pytest.mark.parametrize(("locale", "layer", "known"), LOCALES.values(), ids=LOCALES)
def test_locales(locale: str, layer: list[Entry], known: bool) -> None:  # a column of the table
    try:
        list(regional.entries(guest(locale=locale), rooted(*layer), Distribution(Family.SUSE, systemd=True)))
    except MasterError:
        assert not known
    else:
        assert known
