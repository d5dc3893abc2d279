"""The program that fills in templates: it ends what would take too much, and what is within bounds comes out right."""

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from pipeline import process
from pipeline.inputs import renderer
from pipeline.inputs.renderer import Mistake, Render, Request

pytestmark = pytest.mark.unit

GUEST: dict[str, object] = {"name": "deb01", "addresses": ("10.0.0.1",)}
MEMORY = "it takes more memory than templates have"

TOO_MUCH = {
    "{{ '%1000000000d' % 1 }}": MEMORY,
    "{{ '{:1000000000}'.format(1) }}": MEMORY,
    "{{ 'a' | center(1000000000) }}": MEMORY,
    "{{ 'a'.zfill(1000000000) }}": MEMORY,
    "{{ [1] | batch(1000000000, 'a') | list }}": MEMORY,
    "{{ ('a' * 10 ** 6).replace('a', 'a' * 10 ** 6) }}": MEMORY,
    "{{ ['a' * 10 ** 6] * 10 ** 9 }}": MEMORY,
    "{{ (1).to_bytes(10 ** 12) }}": "",  # memory, or a number that Python takes for too large
    "{% set ns = namespace(x='ab') %}{% for x in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}": MEMORY,
    "{% set s = 'ab ' * 5000000 %}" + "".join(f"{{% set a{i} = s.split() %}}" for i in range(14)): MEMORY,
    "{{ 'a' * 2 ** 24 }}b": "it comes to more than 16,777,216 characters",
    "{{ range(10 ** 9) }}": "Range too big",
    "{{ '(' * 9 }}" + "{% if a %}" * 3000: "it is nested too deeply",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}": "it is nested too deeply",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": "it calls itself without end",
}

ENOUGH = {
    "{{ '%5d|%-5s|%05.1f|%%' % (1, 'a', 2) }}": "    1|a    |002.0|%",
    "{{ '{:>4}{a}'.format(1, a=2) }}": "   12",
    "{{ 'a' | center(5) }}{{ 'a'.zfill(3) }}": "  a  00a",
    "{{ 'a\nb' | indent(2) }}": "a\n  b",
    "{{ [1, 2] | join(', ') }}{{ 'ab' | join('-') }}{{ range(3) | map('string') | join }}": "1, 2a-b012",
    "{{ 'a' ~ 1 ~ none }}{{ 'a' + 'b' }}{{ [1] + [2] }}": "a1Noneab[1, 2]",
    "{% for x in 'ab' %}{{ loop.index }}{{ x * 2 }}{% endfor %}": "1aa2bb",
    "{{ 2 ** 10 * 3 % 7 }} é\n": "6 é\n",
    "{{ guest.addresses }}{{ list }}": "('10.0.0.1',)('a', 'b')",
    "{% for x in range(90000) %}{% endfor %}many": "many",
}


@pytest.fixture(autouse=True)
def time_for_each() -> Iterator[None]:
    """A new program for each test: what one has taken is not there for the next."""
    yield
    for program in renderer._programs:
        program.end()
    renderer._has_crashed.clear()


def rendered(guest: dict[str, object], renders: Sequence[Render]) -> list[bytes | Mistake]:
    (found,) = renderer.rendered([Request(guest, renders)])
    return found


def render(source: str) -> bytes | Mistake:
    (found,) = rendered(GUEST, [Render("t", source, {"list": ("a", "b")})])
    return found


@pytest.mark.parametrize(("source", "message"), TOO_MUCH.items())
def test_too_much(source: str, message: str) -> None:
    found = render("\n" + source)
    assert isinstance(found, Mistake)
    assert message in found.message
    assert render("{{ guest.name }}") == b"deb01", "another template is filled in"


@pytest.mark.parametrize(("source", "text"), ENOUGH.items())
def test_enough(source: str, text: str) -> None:
    found = render(source)
    assert isinstance(found, bytes)
    assert found.decode() == text


@pytest.mark.parametrize("source", ["{{ [1, 2] | random }}", "{{ lipsum() }}", "{{ ().__class__ }}"])
def test_out_of_reach(source: str) -> None:
    assert isinstance(render(source), Mistake)


def test_the_line_of_each_mistake() -> None:
    found = rendered(GUEST, [Render("a", "\n{{ b }}", {}), Render("c", "d", {}), Render("e", "\n\n{% if %}", {})])
    assert found[0] == Mistake(2, "'b' is undefined")
    assert found[1] == b"d"
    assert found[2] == Mistake(3, "Expected an expression, got 'end of statement block'")


def test_one_that_ends_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told, and nothing that comes after it is tried."""
    assert render("a") == b"a"
    monkeypatch.setattr(renderer, "_LIMITS", process.Limits(memory=1 << 20, seconds=1))
    renderer._programs[-1].end()
    assert render("a") == Mistake(1, "it takes more time or memory than templates have")
    assert render("a") == renderer.NOT_TRIED


def test_a_program_that_was_killed_is_started_again() -> None:
    """As it is when the thread that had started it ends."""
    assert render("a") == b"a"
    os.kill(renderer._programs[-1]._running._process.pid, signal.SIGKILL)
    renderer._programs[-1]._running.wait()
    assert render("{{ guest.name }}") == b"deb01"


def test_a_fork_has_a_program_of_its_own(tmp_path: Path) -> None:
    assert render("a") == b"a"
    said = tmp_path / "said"
    child = os.fork()
    if child == 0:
        try:
            found = render("{{ guest.name }}")
            said.write_bytes(found if isinstance(found, bytes) else b"")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert said.read_bytes() == b"deb01"
    assert render("b") == b"b"
