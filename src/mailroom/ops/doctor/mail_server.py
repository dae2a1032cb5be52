"""The mail server: connect, greet, secure, sign in, goodbye; nothing is sent."""

from psycopg.errors import ProgrammingError

from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.kit.database import Database
from mailroom.mail.smtp.connection import ServerTrouble, SmtpConnection, Timeouts
from mailroom.mail.smtp.sign_ins import SignIns
from mailroom.mail.states import Reason
from mailroom.ops.doctor.findings import Finding, broken, good, quoted, warning
from mailroom.ops.doctor.tls import begins_with_tls, certificate_problem, own_issuer
from mailroom.settings import Settings, SMTPServer

CHECK = gettext_noop("mail server")
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
        words = gettext(
            "the inbox of `mailroom up` at %(server)s: it keeps every mail and sends none on", server=server
        )
        return [good(CHECK, words)]
    most = settings.worker_processes * settings.smtp_connections
    told = {"server": server, "security": _security(server), "most": most}
    if server.username:
        words = gettext(
            "%(server)s answers, %(security)s, sign-in accepted; up to %(most)s connections at once", **told
        )
    else:
        words = gettext("%(server)s answers, %(security)s; up to %(most)s connections at once", **told)
    findings = [good(CHECK, words)]
    if server.username and not server.tls and server.starttls != "required" and not is_loopback(server.host):
        words = gettext("starttls=%(mode)s: somebody on the way may read the password", mode=server.starttls)
        findings.append(warning(CHECK, words, gettext("Write starttls=required or smtps:// in SMTP_URL.")))
    return findings


async def _end_waiting(settings: Settings) -> None:
    """Tell workers that wait after refused sign-ins that the server takes them now."""
    database = Database(settings.session_database_url, connections=2, name="mailroom doctor")
    try:
        await SignIns(database, settings.smtp, settings.secret_keys[0]).accepted()
    except ProgrammingError:
        pass  # the tables are not there yet: the check of the database reports it
    finally:
        await database.close()


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine by name."""
    return host in {"localhost", "::1"} or host.startswith("127.") or host.endswith(".localhost")


def _security(server: SMTPServer) -> str:
    if server.tls:
        return gettext("TLS, certificate good")
    words = {
        "required": gettext("STARTTLS, certificate good"),
        "opportunistic": gettext("STARTTLS if it offers it"),
        "never": gettext("not encrypted"),
    }
    return words[server.starttls]


async def _trouble(trouble: ServerTrouble, settings: Settings) -> Finding:
    server, result = settings.smtp, trouble.result
    if problem := certificate_problem(trouble):
        words = gettext(
            "%(server)s has a certificate that is not good: %(problem)s", server=server, problem=problem
        )
        host = gettext("SMTP_URL must name the host that the certificate is for.")
        return broken(CHECK, words, f"{host} {own_issuer()}")
    code = f"{result.code} " if result.code else ""
    told = code + quoted(result.text or gettext("no answer"), settings)
    if result.reason is Reason.TLS:
        advice = gettext(
            "Correct host and port in SMTP_URL. Only where the network is your own: ?starttls=opportunistic."
        )
        if server.tls:
            advice = gettext(
                "If this port does not begin with TLS (587 and 25 do not), write smtp:// in SMTP_URL."
            )
        words = gettext("%(server)s offers no safe connection: %(told)s", server=server, told=told)
        return broken(CHECK, words, advice)
    if result.reason is Reason.SIGN_IN:
        advice = gettext("Correct user and password in SMTP_URL (special characters percent-encoded).")
        words = gettext("%(server)s does not accept the sign-in: %(told)s", server=server, told=told)
        return broken(CHECK, words, advice)
    if not server.tls and await begins_with_tls(server.host, server.port):
        words = gettext("%(server)s begins with TLS, and SMTP_URL says that it does not", server=server)
        return broken(CHECK, words, gettext("Write smtps:// in SMTP_URL."))
    advice = gettext("Start it, or correct host and port in SMTP_URL. Some hosts block port 25: try 587 or 465.")
    words = gettext("%(server)s cannot be reached: %(told)s", server=server, told=told)
    return broken(CHECK, words, advice)
