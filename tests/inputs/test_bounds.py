"""Templates that would make too much: each is refused before it is made."""

import tracemalloc

import pytest

from pipeline.errors import GuestfarmError
from pipeline.inputs.bounds import counted
from pipeline.inputs.jinja import environment

pytestmark = pytest.mark.unit

VALUES = {"text": "a" * 1_000_000, "one": 1, "huge": 10**12, "lines": "a\n" * 100_000}

TOO_MUCH = [
    "{{ '%1000000000d' % 1 }}",
    "{{ '%.1000000000f' % 1 }}",
    "{{ '%*d' % (1000000000, 1) }}",
    "{{ '%(a)1000000000d' % {'a': 1} }}",
    "{{ '%(a)s' * 1000 % {'a': text} }}",
    "{{ ('%999999d' * 1000) % 1 }}",
    "{{ '%1000000000d' | format(1) }}",
    "{{ ('%s' * 100) | format(text) }}",
    "{{ ('%(a)s' * 100) | format(a=text) }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ '{:{}}'.format(1, 1000000000) }}",
    "{{ '{a:{w}}'.format_map({'a': 1, 'w': 1000000000}) }}",
    "{{ ('{0}' * 100).format(text) }}",
    "{{ 'a' | center(1000000000) }}",
    "{{ 'a' | center(width=huge) }}",
    "{{ ['a'] | map('center', 1000000000) | join }}",
    "{{ 'a'.center(1000000000) }}",
    "{{ 'a'.ljust(huge) }}{{ 'a'.rjust(huge) }}",
    "{{ 'a'.zfill(1000000000) }}",
    "{{ '\t'.expandtabs(1000000000) }}",
    "{{ lines | indent(1000) }}",
    "{{ [1] | batch(1000000000, 'a') | list }}",
    "{{ [1] | slice(1000000000) | list }}",
    "{{ [1, 2] | tojson(indent=1000000000) }}",
    "{{ text | replace('a', text) }}",
    "{{ text.replace('a', text) }}",
    "{{ text | join(text) }}",
    "{{ (['a', 'b'] * 9) | join(text) }}",
    "{{ text | wordwrap(1, wrapstring=text) }}",
    "{{ text * 1000 }}{{ 1000 * text }}",
    "{{ ([text] * 1000) | string }}",
    "{{ [text] * 1000 }}",
    "{{ 10 ** (10 ** 9) }}",
    "{{ 3 ** 60000 }}",
    "{{ one.to_bytes(huge) }}",
    "{% for x in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "{% for x in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "{% for x in range(99) %}{% set ns.x %}{{ ns.x }}{{ ns.x }}{% endset %}{% endfor %}",
    "{% for x in range(99) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l }}",
    "{% macro m(x) %}{{ x }}{{ x }}{% endmacro %}{% for x in range(99) %}{% set ns.x = m(ns.x) %}{% endfor %}",
    "{% for x in range(99999) %}{{ text | upper | length }}{% endfor %}",
    "{{ range(10 ** 9) }}",
]

ENOUGH = {
    "{{ '%5d|%-5s|%05.1f|%%' % (1, 'a', 2) }}": "    1|a    |002.0|%",
    "{{ '%s 49172123456789' | format('tel') }}": "tel 49172123456789",
    "{{ '%(a)s' | format(a='b') }}": "b",
    "{{ '{:>4}{a}'.format(1, a=2) }}": "   12",
    "{{ 'a' | center(5) }}{{ 'a'.zfill(3) }}": "  a  00a",
    "{{ 'a\nb' | indent(2) }}": "a\n  b",
    "{{ [1, 2] | join(', ') }}{{ 'ab' | join('-') }}{{ range(3) | map('string') | join }}": "1, 2a-b012",
    "{{ 'a' ~ 1 ~ none }}{{ 'a' + 'b' }}{{ [1] + [2] }}": "a1Noneab[1, 2]",
    "{{ huge | default(huge) // 10 ** 9 }} {{ huge | filesizeformat }}": "1000 1.0 TB",
    "{{ 'a,b'.replace(',', ';') }}{{ 'aXa' | replace('X', 'YY') }}": "a;baYYa",
    "{% for x in 'ab' %}{{ loop.index }}{{ x * 2 }}{% endfor %}": "1aa2bb",
    "{{ {'a': [1, 'b']} | tojson(indent=1) | length }}": "25",
    "{{ 2 ** 10 * 3 % 7 }}": "6",
}


def render(source: str) -> str:
    with counted():
        return environment().from_string(source).render(VALUES)


@pytest.mark.parametrize("source", TOO_MUCH)
def test_refused_before_it_is_made(source: str) -> None:
    setup = "{% set ns = namespace(x='ab', l=[1]) %}" if "ns." in source else ""
    tracemalloc.start()
    try:
        with pytest.raises((GuestfarmError, OverflowError)):
            render(setup + source)
        assert tracemalloc.get_traced_memory()[1] < 256 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("source", "text"), ENOUGH.items())
def test_taken(source: str, text: str) -> None:
    assert render(source) == text


@pytest.mark.parametrize("source", ["{{ [1, 2] | random }}", "{{ lipsum() }}"])
def test_nothing_by_chance(source: str) -> None:
    with pytest.raises(Exception, match=r"random|lipsum"):
        render(source)
