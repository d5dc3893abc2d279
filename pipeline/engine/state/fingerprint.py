"""Fingerprints: what an artifact was made from and what was made, in a few bytes.

To compare those of ten thousand guests takes no longer than to look at their files; to compare their records, which
say in words what an artifact was made from, takes ten times as long. So these are read only where fingerprints differ.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

SIZE = 16
"""Bytes: two of 2**40 different fingerprints are the same with a probability of 2**-49."""

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode


def of_inputs(inputs: Mapping[str, Any]) -> bytes:
    """The fingerprint of those of `inputs` that are values."""
    return _digest(_encode({name: value for name, value in inputs.items() if not callable(value)}))


def callables(inputs: Mapping[str, Any]) -> tuple[tuple[str, Callable[[], Any]], ...]:
    """The others: those that have to be asked."""
    return tuple((name, value) for name, value in inputs.items() if callable(value))


def text(facts: Mapping[str, Any]) -> str:
    """Answers, or digests of files, as text."""
    return _encode(dict(sorted(facts.items())))


def of_artifact(inputs: bytes, answers: str, files: str, targets: Mapping[str, Sequence[int]]) -> bytes:
    """The fingerprint of an artifact: of what it was made from, and of its targets as they were then."""
    return _digest(f"{inputs.hex()} {answers} {files} {targets}")


def _digest(facts: str) -> bytes:
    return blake2b(facts.encode(), digest_size=SIZE).digest()
