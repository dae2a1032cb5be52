"""Prints what the doctor found, for people or machines."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import click

from mailroom.i18n.messages import gettext, gettext_noop, ngettext, translated
from mailroom.ops import startup
from mailroom.ops.doctor.examine import examine
from mailroom.ops.doctor.findings import Finding, broken, good
from mailroom.ops.entrypoints import Entrypoints
from mailroom.ops.observability import logs
from mailroom.ops.terminal import Mark, sign
from mailroom.settings import SettingsError

CHECK = gettext_noop("settings")
GOOD, WARNING, BROKEN = 0, 1, 2
"""Exit codes, as monitoring plugins have them."""


def run(entrypoints: Entrypoints, *, as_json: bool, only_wrong: bool = False) -> int:
    """Examine and print; return the exit code: 2 if something is broken, 1 if there are warnings, else 0.

    `only_wrong`: print a line for each thing that is wrong and nothing else, as monitoring wants it.
    """
    logs.configure("error", "doctor")
    try:
        settings = startup.settings()
    except SettingsError as error:
        findings = [broken(CHECK, problem.removesuffix(".")) for problem in error.problems]
        later = gettext("The servers are checked once the settings can be read.")
        advice = f"{later} {gettext(startup.NOT_RUNNING)}"
    else:
        findings, advice = [good(CHECK, gettext("complete and well-formed")), *examine(settings, entrypoints)], ""
    marks = {finding.mark for finding in findings}
    if as_json:
        said = {
            "ok": Mark.BROKEN not in marks,
            "source": startup.source(),
            "findings": [asdict(f) for f in findings],
        }
        click.echo(json.dumps(said, indent=2))
    elif only_wrong:
        for finding in findings:
            if finding.mark is not Mark.GOOD:
                click.echo(_told(finding))
    else:
        _print(findings, advice)
    if Mark.BROKEN in marks:
        return BROKEN
    return WARNING if marks & {Mark.WARNING, Mark.UNKNOWN} else GOOD


def _print(findings: Sequence[Finding], advice: str) -> None:
    click.echo(startup.source())
    click.echo()
    for finding in findings:
        click.echo(f"{sign(finding.mark)} {_told(finding)}")
        if finding.advice:
            click.echo(f"    {finding.advice}")
    click.echo()
    if advice:
        click.echo(advice)
    click.echo(_verdict(findings))


def _told(finding: Finding) -> str:
    check = _capital(translated(finding.check))
    return gettext("%(check)s: %(words)s.", check=check, words=finding.words)


def _verdict(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.mark for finding in findings)
    forms = {
        Mark.BROKEN: ngettext("%(num)s fault", "%(num)s faults", counts[Mark.BROKEN]),
        Mark.WARNING: ngettext("%(num)s warning", "%(num)s warnings", counts[Mark.WARNING]),
        Mark.UNKNOWN: ngettext("%(num)s open question", "%(num)s open questions", counts[Mark.UNKNOWN]),
    }
    told = ", ".join(f"{words} ({sign(mark)})" for mark, words in forms.items() if counts[mark])
    if counts[Mark.BROKEN]:
        return gettext("Mailroom does not work until this is mended: %(findings)s.", findings=told)
    return gettext("Mailroom works, with %(findings)s.", findings=told) if told else gettext("All is well.")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
