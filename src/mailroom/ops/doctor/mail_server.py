"""The mail server: connect, greet, secure, sign in, goodbye; nothing is sent."""

from psycopg.errors import ProgrammingError

from mailroom.kit.database import Database
from mailroom.mail.smtp.connection import ServerTrouble, SmtpConnection, Timeouts
from mailroom.mail.smtp.sign_ins import SignIns
from mailroom.mail.states import Reason
from mailroom.ops.doctor.findings import Finding, broken, good, quoted, warning
from mailroom.ops.doctor.tls import OWN_ISSUER, begins_with_tls, certificate_problem
from mailroom.settings import Settings, SMTPServer

CHECK = "mail server"
PATIENCE = 3.0
"""Seconds for the connection; a look at its TLS afterwards takes half of that."""


async def check(settings: Settings) -> list[Finding]:
    """Check SMTP_URL by doing all that comes before a mail."""
    server = settings.smtp
    try:
        connection = await SmtpConnection.open(
            server, Timeouts(connect=PATIENCE, command=PATIENCE), settings.ehlo_name
        )
    except ServerTrouble as trouble:
        return [await _trouble(trouble, settings)]
    await connection.quit()
    if server.username:
        await _end_waiting(settings)
    if settings.mailroom_inbox:
        return [good(CHECK, f"the inbox of `mailroom up` at {server}: it keeps every mail and sends none on")]
    most = settings.worker_processes * settings.smtp_connections
    words = f"{server} answers, {_security(server)}{', sign-in accepted' if server.username else ''}"
    findings = [good(CHECK, f"{words}; up to {most} connections at once")]
    if server.username and not server.tls and server.starttls != "required" and not is_loopback(server.host):
        words = f"starttls={server.starttls}: the password may cross the network in the clear"
        findings.append(warning(CHECK, words, "Say starttls=required or smtps:// in SMTP_URL."))
    return findings


async def _end_waiting(settings: Settings) -> None:
    """Tell workers that wait after refused sign-ins that the server takes them now."""
    database = Database(settings.database_url, connections=2, name="mailroom doctor")
    try:
        await SignIns(database, settings.smtp, settings.secret_keys[0]).accepted()
    except ProgrammingError:
        pass  # the tables are not there yet, which is for the check of the database to say
    finally:
        await database.close()


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by name."""
    return host in {"localhost", "::1"} or host.startswith("127.") or host.endswith(".localhost")


def _security(server: SMTPServer) -> str:
    if server.tls:
        return "TLS, certificate good"
    words = {
        "required": "STARTTLS, certificate good",
        "opportunistic": "STARTTLS if it offers it",
        "never": "not encrypted",
    }
    return words[server.starttls]


async def _trouble(trouble: ServerTrouble, settings: Settings) -> Finding:
    server, result = settings.smtp, trouble.result
    if problem := certificate_problem(trouble):
        advice = f"SMTP_URL must name the host that the certificate is for. {OWN_ISSUER}"
        return broken(CHECK, f"{server} has a certificate that is not good: {problem}", advice)
    code = f"{result.code} " if result.code else ""
    told = f"{code}{quoted(result.text or 'no answer', settings)}"
    if result.reason is Reason.TLS:
        advice = "Correct host and port in SMTP_URL. Only where the network is your own: ?starttls=opportunistic."
        if server.tls:
            advice = "If this port does not begin with TLS (587 and 25 do not), write smtp:// in SMTP_URL."
        return broken(CHECK, f"{server} offers no safe connection: {told}", advice)
    if result.reason is Reason.SIGN_IN:
        advice = "Correct user and password in SMTP_URL (special characters percent-encoded)."
        return broken(CHECK, f"{server} does not accept the sign-in: {told}", advice)
    if not server.tls and await begins_with_tls(server.host, server.port):
        words = f"{server} begins with TLS, and SMTP_URL says that it does not"
        return broken(CHECK, words, "Write smtps:// in SMTP_URL.")
    advice = "Start it, or correct host and port in SMTP_URL. Some hosts block port 25: try 587 or 465."
    return broken(CHECK, f"{server} cannot be reached: {told}", advice)
