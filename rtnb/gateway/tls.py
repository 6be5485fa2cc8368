"""Certificates for ``wss`` and ``https`` on this machine: given, or made by us.

What we make is an authority and one certificate that it signed. The authority's key is
forgotten at once: who trusts the authority trusts that one certificate, which is good for
this machine's own names, and nobody can ever sign another.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rtnb.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import CertificateBuilder, GeneralName, KeyUsage

NAMES: Final = ("localhost", "127.0.0.1", "::1")
"""What the certificate is good for, besides the address that is listened on."""

EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - no address that a client calls

DAYS: Final = 397
"""How long it lasts: browsers take no longer one from a public authority."""

SLACK: Final = timedelta(days=1)
"""It is made anew this long before its end, and is valid from this long before now: a
server runs for a while, and clocks differ."""


@dataclass(frozen=True)
class Certificate:
    """Files in PEM form.

    Parameters
    ----------
    chain : Path
        The server's certificate, and those that lead to its authority.
    key : Path
        Its private key, readable by its owner only.
    trust : Path
        What a client must trust.
    """

    chain: Path
    key: Path
    trust: Path


def given(certificate: str | Path, key: str | Path | None = None) -> Certificate:
    """Certificate in files of the user's.

    Parameters
    ----------
    certificate : path
        PEM file; it may hold the key as well.
    key : path, optional
        PEM file of the key, not encrypted.

    Returns
    -------
    Certificate
        The files; a client is to trust `certificate`, unless it trusts its authority.

    Raises
    ------
    ConfigError
        If a file cannot be read, or the key is encrypted or another certificate's.
    """
    chain = Path(certificate)
    pair = Certificate(chain, chain if key is None else Path(key), chain)
    _check_pair(pair)
    return pair


def own(
    host: str = "127.0.0.1", *, folder: Path | None = None, now: datetime | None = None
) -> Certificate:
    """Certificate of our own making for this machine; made anew when it must be.

    Parameters
    ----------
    host : str, default "127.0.0.1"
        Address that is listened on.
    folder : Path, optional
        Where certificates are kept; by default in the user's data folder.
    now : datetime, optional
        Aware of its time zone; the present by default.

    Returns
    -------
    Certificate
        Valid for at least a day more. It stays the same until it nears its end or its
        files are damaged.

    Raises
    ------
    MissingExtra
        If the package ``cryptography`` is not installed.
    OSError
        If it cannot be kept in the folder.
    """
    try:
        import cryptography  # noqa: F401 - asked for before anything is touched
    except ImportError as error:
        raise MissingExtra("a self-made certificate", "tls") from error
    now = now or datetime.now(UTC)
    extra = [] if host in {*NAMES, *EVERYWHERE} else [host]
    name = (extra or ["localhost"])[0]
    place = (folder or _user_folder()) / name.replace(":", "-")
    if not _lasts(place, now):
        _make(place, [*NAMES, *extra], now)
    return _files(place)


def _user_folder() -> Path:
    from platformdirs import user_data_path

    return user_data_path("rtnb", appauthor=False) / "tls"


def _files(place: Path) -> Certificate:
    return Certificate(place / "chain.pem", place / "key.pem", place / "authority.pem")


def _lasts(place: Path, now: datetime) -> bool:
    """Whether the files are there, whole and valid for a while."""
    from cryptography import x509

    files = _files(place)
    try:
        _check_pair(files)
        leaf, authority = x509.load_pem_x509_certificates(files.chain.read_bytes())
        trusted = x509.load_pem_x509_certificate(files.trust.read_bytes())
    except (ConfigError, OSError, ValueError):
        return False
    return (
        trusted == authority
        and leaf.not_valid_before_utc <= now
        and now + SLACK < leaf.not_valid_after_utc
    )


def _make(place: Path, names: Sequence[str], now: datetime) -> None:
    """Make the three files in a new folder and put it into place in one step."""
    from cryptography.hazmat.primitives import serialization

    leaf_key, leaf, authority = _signed(names, now)
    secret = leaf_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    files = _files(new)
    files.key.touch(mode=0o600)
    files.key.write_bytes(secret)
    files.chain.write_bytes(leaf + authority)
    files.trust.write_bytes(authority)
    old = new.with_name(f"{new.name}.old")
    with contextlib.suppress(FileNotFoundError):
        place.rename(old)
    try:
        new.rename(place)
    except OSError:
        # Another process put its own there meanwhile, which is as good.
        shutil.rmtree(new)
        if not place.is_dir():
            raise
    shutil.rmtree(old, ignore_errors=True)


def _signed(
    names: Sequence[str], now: datetime
) -> tuple[EllipticCurvePrivateKey, bytes, bytes]:
    """A key, its certificate and that of the authority, both in PEM form."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID

    key, authority_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    # No two authorities share a name, or a client that trusts an older one is misled.
    issuer = f"rtnb on this machine, {now:%Y-%m-%d} {os.urandom(4).hex()}"
    above = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        _builder(issuer, issuer, authority_key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(above, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    reference = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(above)
    leaf = (
        _builder("rtnb gateway", issuer, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(
            x509.SubjectAlternativeName([_general(name) for name in names]),
            critical=False,
        )
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        .add_extension(reference, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return key, leaf.public_bytes(pem), authority.public_bytes(pem)


def _builder(
    subject: str, issuer: str, key: EllipticCurvePrivateKey, now: datetime
) -> CertificateBuilder:
    from cryptography import x509

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    return (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SLACK)
        .not_valid_after(now - SLACK + timedelta(days=DAYS))
    )


def _usage(*, authority: bool) -> KeyUsage:
    from cryptography import x509

    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _check_pair(pair: Certificate) -> None:
    """Refuse files that a server could not use."""
    for path in (pair.chain, pair.key):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigError(
                f"the certificate's file {path} cannot be read: {error.strerror}"
            ) from error
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # An encrypted key would ask the terminal for its password.
        context.load_cert_chain(pair.chain, pair.key, password=lambda: "")
    except ssl.SSLError as error:
        raise ConfigError(
            f"{pair.chain} and {pair.key} are no certificate and its key in PEM form, "
            f"not encrypted: {error.reason or error}"
        ) from error
