"""Templates in built root disks: what they come to, what makes exactly which guests stale, and what is refused."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from pipeline.inputs import renderer, templates
from pipeline.inputs.renderer import Mistake, Request
from pipeline.model.guest import Guest
from tests import doit_process
from tests.e2e.conftest import Workshop
from tests.e2e.test_roles import roots, status

TEMPLATE = """\
listen {{ guest.address }}:{{ port }}
{%- for alias in aliases %}
alias {{ alias }} {{ loop.index }}/{{ loop.length }}
{%- endfor %}
<{{ guest.nics[0].mac }}> & {{ guest.memory // 1024 ** 2 }} {{ motto }}
"""


@pytest.fixture
def farm(workshop: Workshop) -> Workshop:
    """deb01 and deb02 have a template by a role, web01 one of its own, the others none."""
    workshop.change_list(
        "guests:\n",
        "roles:\n"
        "  web:\n"
        "    vars: {port: 80, aliases: [a, b]}\n"
        "    files: {/etc/app.conf: {template: app.conf.j2, mode: 0640}}\n"
        "guests:\n",
    )
    workshop.change_list("defaults:\n", "defaults:\n  vars: {port: 1, motto: all, own: all}\n")
    workshop.change_list("deb01: {", "deb01: {roles: web, vars: {port: 8080}, ")
    workshop.change_list("deb02: {", "deb02: {roles: web, mac: 00:16:3e:00:00:02, ")
    workshop.change_list(
        "web[01:03]: {",
        'web01: {address: 10.0.0.20/24, files: {/etc/own: {text: "{{ guest.name }} {{ own }}", template: true}}}\n'
        "  web[02:03]: {",
    )
    workshop.change_list("10.0.0.[21:23]", "10.0.0.[22:23]")
    (workshop.folder / "app.conf.j2").write_text(TEMPLATE)
    return workshop


def test_what_templates_come_to(farm: Workshop) -> None:
    farm.doit()
    assert status(farm, "deb02", "etc/app.conf") == (
        "listen 10.0.0.12:80\nalias a 1/2\nalias b 2/2\n<00:16:3e:00:00:02> & 512 all\n",
        "0640",
        (0, 0),
    )
    assert status(farm, "deb01", "etc/app.conf")[0].startswith("listen 10.0.0.11:8080\n"), "a guest's own win"
    assert status(farm, "web01", "etc/own")[0] == "web01 all"


def test_exactly_the_guests_whose_text_changed_are_stale(farm: Workshop) -> None:
    farm.doit()
    assert farm.doit().executed == []
    farm.change_list("port: 80, aliases", "port: 81, aliases")
    assert roots(farm) == ["root:deb02"], "deb01 has a port of its own"
    farm.change_list("own: all", "own: mine")
    assert roots(farm) == ["root:web01"]
    (farm.folder / "app.conf.j2").write_text("{# nothing #}" + TEMPLATE)
    assert roots(farm) == [], "it comes to the same"
    (farm.folder / "app.conf.j2").write_text("changed\n" + TEMPLATE)
    assert roots(farm) == ["root:deb01", "root:deb02"]


def filled_in(farm: Workshop, *arguments: str) -> list[str]:
    """The guests that a doit run fills templates in for."""
    output = doit_process.run(arguments, farm.folder, os.environ, prepare=_tell).output
    return [line.removeprefix(_MARK) for line in output.splitlines() if line.startswith(_MARK)]


_MARK = "filled in: "


def _tell() -> None:
    rendered = renderer.rendered

    def telling(requests: Iterable[Request]) -> Iterator[list[bytes | Mistake]]:
        asked = list(requests)
        print(*(f"{_MARK}{request.guest['name']}" for request in asked), sep="\n", flush=True)
        return rendered(asked)

    renderer.rendered = telling


def test_nothing_is_filled_in_where_nothing_changed(farm: Workshop) -> None:
    (farm.folder / "copied").write_text("c")
    farm.change_list("{/etc/app.conf: {", "{/etc/copied: {source: copied}, /etc/app.conf: {")
    every = ["deb01", "deb02", "web01"]
    assert filled_in(farm) == every, "once, to be checked, to be put on record and to be written"
    assert filled_in(farm) == []
    assert filled_in(farm, "list") == []
    (farm.folder / "copied").write_text("changed")
    assert roots(farm) == ["root:deb01", "root:deb02"], "what is copied is looked at by each run"
    (farm.folder / "app.conf.j2").write_text(f"changed {TEMPLATE}")
    assert filled_in(farm) == every


def test_a_template_that_changes_while_it_is_used(farm: Workshop) -> None:
    """Its new text is seen by the next run, even if it is of the same size."""
    doit_process.run((), farm.folder, os.environ, prepare=_change_after_check)
    assert status(farm, "deb02", "etc/app.conf")[0].startswith("listen ")
    assert roots(farm) == ["root:deb01", "root:deb02"]
    farm.doit()
    assert status(farm, "deb02", "etc/app.conf")[0].startswith("LISTEN ")


def _change_after_check() -> None:
    check = templates.check

    def changing(guests: Iterable[Guest], seen: Callable[[Guest, tuple[str, ...]], object]) -> None:
        check(guests, seen)
        Path("app.conf.j2").write_text(TEMPLATE.replace("listen", "LISTEN"))

    templates.check = changing


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\n{{ prot }}", "app.conf.j2:2: guest 'deb02': 'prot' is undefined; did you mean 'port'?"),
        ("{{ guest.adress }}", "app.conf.j2:1: guest 'deb02': 'dict object' has no attribute 'adress'; did you mean"),
        ("\n\n{% if %}", "app.conf.j2:3: guest 'deb02': Expected an expression, got 'end of statement block'"),
        ("{% for a in 'ab' %}\n{{ a }}", "app.conf.j2:2: guest 'deb02': Unexpected end of template."),
        ("\n{{ 1 // 0 }}", "app.conf.j2:2: guest 'deb02': integer division or modulo by zero"),
        ("{% include '/etc/passwd' %}", "app.conf.j2:1: guest 'deb02': no loader for this environment"),
        ("{{ ().__class__.__base__ }}", "app.conf.j2:1: guest 'deb02': access to attribute '__class__'"),
        ("{{ guest.update({'name': 'x'}) }}", "app.conf.j2:1: guest 'deb02':"),
        ("{{ range(10 ** 9) }}", "app.conf.j2:1: guest 'deb02': Range too big"),
        ("{{ 'x' * 10 ** 9 }}", "app.conf.j2:1: guest 'deb02': it takes more memory than templates have"),
        ("{{ '%1000000000d' % 1 }}", "app.conf.j2:1: guest 'deb02': it takes more memory than templates have"),
        ("{{ '%9999999d' % 1 * 2 }}", "app.conf.j2:1: guest 'deb02': it comes to more than 16,777,216 characters"),
        ("{{ '\\ud800' }}", "app.conf.j2:1: guest 'deb02': 'utf-8' codec can't encode character"),
        ("{% macro f() %}{{ f() }}{% endmacro %}\n{{ f() }}", "guest 'deb02': it calls itself without end"),
        (b"\n\xff", "app.conf.j2:2: guest 'deb02': the template is not UTF-8"),
    ],
)
def test_bad_templates(farm: Workshop, text: str | bytes, problem: str) -> None:
    farm.change_list("deb01: {roles: web, ", "deb01: {")
    (farm.folder / "app.conf.j2").write_bytes(text if isinstance(text, bytes) else text.encode())
    run = farm.doit("list", check=False)
    assert run.code == 2
    assert problem in run.output
    assert len(run.output.splitlines()) == 1


def test_a_template_that_does_not_end(farm: Workshop) -> None:
    (farm.folder / "app.conf.j2").write_text(
        "{% for a in range(99999) %}\n{% for b in range(99999) %}{% endfor %}{% endfor %}"
    )
    run = farm.doit("list", check=False)
    assert run.code == 2
    assert run.output.splitlines() == [
        "app.conf.j2:2: guest 'deb01': it takes more time than templates have",
        "other templates are not tried: there is no time left for them",
    ]


def test_all_mistakes_are_shown_at_once(farm: Workshop) -> None:
    (farm.folder / "app.conf.j2").write_text("{{ nothing }}")
    farm.change_list("{{ own }}", "{{ wno }}")
    run = farm.doit(check=False)
    assert run.code == 2
    assert run.output.splitlines() == [
        "app.conf.j2:1: guest 'deb01': 'nothing' is undefined; give it under vars:",
        "app.conf.j2:1: guest 'deb02': 'nothing' is undefined; give it under vars:",
        "file /etc/own, line 1: guest 'web01': 'wno' is undefined; did you mean 'own'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("template: app.conf.j2", "template: none.j2", "template: 'none.j2' cannot be read: No such file"),
        ("template: app.conf.j2", "template: true", "template: true goes with a text"),
        ("template: app.conf.j2", "template: app.conf.j2, text: a", "it is one thing: a file with a text"),
        ("{port: 8080}", "{guest: a}", "vars.guest: expected the name of a variable like port, found 'guest'"),
        ("{port: 8080}", "{1a: a}", "vars.1a: expected the name of a variable like port, found '1a'"),
        ("{port: 8080}", "{port: {a: b}}", "vars.port: expected a text, or a list of texts, found a mapping"),
        ("{port: 8080}", "{port: }", "vars.port: expected a text, or a list of texts, found nothing"),
        ("{port: 8080}", "8080", "vars: expected a mapping of names to texts"),
    ],
)
def test_bad_lists(farm: Workshop, old: str, new: str, problem: str) -> None:
    farm.change_list(old, new)
    run = farm.doit("list", check=False)
    assert run.code == 2
    assert problem in run.output


def test_jinja_is_loaded_for_templates_alone() -> None:
    code = "import sys, pipeline.tasks; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
