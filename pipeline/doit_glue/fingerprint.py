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
    """The fingerprint of inputs that are values."""
    return _digest(_encode({name: value for name, value in inputs.items() if not callable(value)}))


def callables(inputs: Mapping[str, Any]) -> tuple[tuple[str, Callable[[], Any]], ...]:
    """The other inputs: those that have to be asked."""
    return tuple((name, value) for name, value in inputs.items() if callable(value))


def of_artifact(
    inputs: bytes, answers: Mapping[str, Any], files: Mapping[str, str], targets: Mapping[str, Sequence[int]]
) -> bytes:
    """The fingerprint of an artifact: of what it was made from, by digests and answers, and of what it was then."""
    return _digest(f"{inputs.hex()} {_encode(answers) if answers else ''} {sorted(files.items())} {targets}")


def _digest(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=SIZE).digest()
