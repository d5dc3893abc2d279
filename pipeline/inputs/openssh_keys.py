"""OpenSSH's private keys, made and read in this process by the library cryptography."""

import binascii
import re
from typing import Final

from pipeline.model.user import HostKey

_RSA_BITS: Final = 3072
"""The default of ssh-keygen(1)."""

_RSA_EXPONENT: Final = 65537
"""F4, as of ssh-keygen."""

_RSA_SIZES: Final = range(1024, 16384 + 1)
"""Bits that OpenSSH takes: SSH_RSA_MINIMUM_MODULUS_SIZE, and OpenSSL's OPENSSL_RSA_MAX_MODULUS_BITS."""

_OPENSSH: Final = b"OPENSSH"
_DSA: Final = b"ssh-dss"
_FILE: Final = re.compile(
    rb"-----BEGIN (?P<kind>OPENSSH|RSA|EC) PRIVATE KEY-----\n"
    rb"(?P<body>(?:[A-Za-z0-9+/]+={0,2}\n)+)"
    rb"-----END (?P=kind) PRIVATE KEY-----\n"
)
"""A whole file with one key. sshd refuses some that cryptography takes: without the last newline, or with text before
the key. Of PKCS #8 it depends on OpenSSH's version which kinds it reads."""


def generate(kind: str) -> str:
    """A new private key of a kind of HostKey, as a file in OpenSSH's own format.

    The comment in it is empty: cryptography writes none. Raises ValueError for another kind.
    """
    # The import takes 40 ms of CPU, and most runs make no keys.
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    match HostKey(kind):
        case HostKey.ED25519:
            key = ed25519.Ed25519PrivateKey.generate()
        case HostKey.ECDSA:
            key = ec.generate_private_key(ec.SECP256R1())
        case HostKey.RSA:
            key = rsa.generate_private_key(_RSA_EXPONENT, _RSA_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    ).decode("ascii")


def public_key(private: bytes) -> str | None:
    """The public key, as "TYPE BASE64", of a file with a private one.

    None for what is for ssh-keygen to read, or to refuse: cryptography cannot read it, or OpenSSH may not.
    """
    found = _FILE.fullmatch(private)
    if found is None:
        return None
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415  # as in generate()

    try:
        return _read(private, binascii.a2b_base64(found["body"]), is_openssh=found["kind"] == _OPENSSH)
    except (ValueError, TypeError, ArithmeticError, NotImplementedError, UnsupportedAlgorithm):
        return None  # damaged, with a passphrase, or of a kind or curve unknown here


def _read(private: bytes, contents: bytes, *, is_openssh: bool) -> str | None:
    # As in generate().
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    if is_openssh and _DSA in contents:
        return None  # cryptography would warn, on standard error
    load = serialization.load_ssh_private_key if is_openssh else serialization.load_pem_private_key
    # To check that RSA's numbers are primes takes 100 ms. OpenSSH does not either.
    key = load(private, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        return None
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size not in _RSA_SIZES:
        return None
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    if is_openssh and binascii.a2b_base64(public.split()[1]) not in contents:
        return None  # it is damaged: OpenSSH tells others the public key that is in the file
    return public.decode("ascii")
