"""A mail provider as one rents it: port 587, STARTTLS and sign-in both required, a certificate of its own CA."""

import ipaddress
import ssl
import warnings
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it uses what newer Pythons are about to drop
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import AuthResult

KEY_USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
"""All of RFC 5280 §4.2.1.3; Python 3.13 and later want the extension."""
USER, PASSWORD = "mailroom@rented.example", "p@ss:word/with%signs"


@dataclass
class Certificates:
    """A CA's certificate (`ca`), and a server's with its key for localhost and 127.0.0.1, all PEM files."""

    ca: Path
    server: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        now = datetime.now(UTC)
        ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Rented Mail CA")])
        made = cls(folder / "ca.pem", folder / "server.pem", folder / "server.key")

        def certificate(name: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
            return (
                x509.CertificateBuilder()
                .subject_name(name)
                .issuer_name(ca_name)
                .public_key(public_key)
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - timedelta(hours=1))
                .not_valid_after(now + timedelta(days=1))
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
                )
            )

        usage = dict.fromkeys(KEY_USES, False)
        ca = (
            certificate(ca_name, ca_key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.KeyUsage(**{**usage, "key_cert_sign": True, "crl_sign": True}), critical=True)
        )
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        server = (
            certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.KeyUsage(**{**usage, "digital_signature": True}), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        )
        for builder, path in ((ca, made.ca), (server, made.server)):
            path.write_bytes(builder.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return made


@dataclass
class MailProvider:
    """Use as a context manager. `accepted` holds (recipient, message, TLS?, user) of each mail it took."""

    certificates: Certificates
    port: int
    accepted: list[tuple[str, Any, bool, str | None]] = field(default_factory=list)
    sign_ins: list[tuple[str, str]] = field(default_factory=list)

    def __enter__(self) -> Self:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificates.server, self.certificates.key)
        self._controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            server_hostname="localhost",
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._authenticate,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def to(self, recipient: str) -> list[Any]:
        return [mail for mail in self.accepted if mail[0] == recipient]

    def _authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, given: Any) -> Any:
        signed_in = (given.login.decode(), given.password.decode())
        self.sign_ins.append(signed_in)
        if signed_in == (USER, PASSWORD):
            return AuthResult(success=True, auth_data=USER)
        return AuthResult(success=False, handled=False)

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # aiosmtpd's name
        message = message_from_bytes(envelope.content, policy=policy.default)
        self.accepted.append((envelope.rcpt_tos[0], message, session.ssl is not None, session.auth_data))
        return "250 2.0.0 taken"
