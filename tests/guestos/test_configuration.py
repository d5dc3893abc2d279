"""Configuration files of the master: variables in them, and symlinks in their place."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.guestos import configuration, names, selinux
from pipeline.guestos.distribution import Distribution
from pipeline.image.layer.entries import Entry, text
from pipeline.model.master import Family
from tests.guests import guest
from tests.layers import contents, link, tree

pytestmark = pytest.mark.unit

PLACES = {
    "no file yet": ([], "etc/hostname"),
    "a file": ([text("etc/hostname", "")], "etc/hostname"),
    "beside it": ([link("etc/hostname", "HOSTNAME"), text("etc/HOSTNAME", "")], "etc/HOSTNAME"),
    "elsewhere in the image": ([link("etc/hostname", "/srv/hostname")], "srv/hostname"),
    "out of the image": ([link("etc/hostname", "../../../../../../srv/hostname")], "srv/hostname"),
    "through another symlink": (
        [link("etc/hostname", "conf/hostname"), link("etc/conf", "/srv/conf")],
        "srv/conf/hostname",
    ),
    "into /run": ([link("etc/hostname", "../run/hostname")], None),
    "into /var/run": ([link("etc/hostname", "/var/run/hostname"), link("var/run", "/run")], None),
    "to nothing at all": ([link("etc/hostname", "/dev/null")], None),
}


@pytest.mark.parametrize(("layer", "place"), PLACES.values(), ids=PLACES)
def test_place(layer: list[Entry], place: str | None) -> None:
    assert configuration.place(tree(*layer), "etc/hostname") == place
    written = contents(names.entries(guest(), tree(*layer), Distribution(Family.DEBIAN, systemd=True)))
    assert set(written) == {"etc/hosts", *([place] if place else [])}


@given(st.dictionaries(st.from_regex("[A-Z_][A-Z0-9_]*", fullmatch=True), st.text("aZ0 '\"\\$`;#|&<>\t")))
def test_a_shell_reads_what_was_assigned(settings: dict[str, str]) -> None:
    before = "# FIRST=1\nFIRST=1\nA=old\nexport B=old # more\n"
    lines = configuration.assigned(before, settings).splitlines()
    read = dict(word.split("=", 1) for line in lines for word in shlex.split(line, comments=True) if "=" in word)
    # Between double quotes, shlex does not unescape all that a shell does.
    assert {name: read[name].replace("\\$", "$").replace("\\`", "`") for name in settings} == settings
    assert lines[0] == "# FIRST=1"


SELINUX = {
    "enforcing": ("SELINUX=enforcing\nSELINUXTYPE=targeted\n", "", True),
    "permissive": ("SELINUX=permissive\n", "", False),
    "disabled": ("# SELINUX=enforcing\nSELINUX=disabled\n", "", False),
    "none": ("", "", False),
    "switched off by the kernel's arguments": ("SELINUX=enforcing\n", "quiet selinux=0", False),
}


@pytest.mark.parametrize(("config", "extra", "relabels"), SELINUX.values(), ids=SELINUX)
def test_selinux(config: str, extra: str, relabels: bool) -> None:  # a column of the table
    layer = [text("etc/selinux/config", config)] if config else []
    assert bool(list(selinux.entries(guest(extra=extra), tree(*layer)))) == relabels
