"""Prints what the doctor found, for people or machines."""

import json
from collections.abc import Sequence
from dataclasses import asdict

import click

from mailroom.kit.text import counted
from mailroom.ops import startup
from mailroom.ops.doctor.examine import examine
from mailroom.ops.doctor.findings import Finding, Mark, broken, good
from mailroom.ops.entrypoints import Entrypoints
from mailroom.ops.observability import logs
from mailroom.settings import SettingsError

SIGNS = {
    Mark.GOOD: ("✓", "green"),
    Mark.CARE: ("!", "yellow"),
    Mark.BROKEN: ("✗", "red"),
    Mark.UNKNOWN: ("?", None),
}
CHECK = "settings"


def run(doors: Entrypoints, *, as_json: bool) -> int:
    """Examine and print; return the exit code: 1 where something is broken."""
    logs.configure("error", "doctor")
    try:
        settings = startup.settings()
    except SettingsError as error:
        findings = [broken(CHECK, problem.removesuffix(".")) for problem in error.problems]
        advice = f"The servers are checked once the settings can be read. {startup.NOT_RUNNING}"
    else:
        findings, advice = [good(CHECK, "all can be read"), *examine(settings, doors)], ""
    is_broken = any(finding.mark is Mark.BROKEN for finding in findings)
    if as_json:
        said = {"ok": not is_broken, "source": startup.source(), "findings": [asdict(f) for f in findings]}
        click.echo(json.dumps(said, indent=2))
    else:
        _print(findings, advice)
    return 1 if is_broken else 0


def _print(findings: Sequence[Finding], advice: str) -> None:
    click.echo(startup.source())
    click.echo()
    for finding in findings:
        sign, colour = SIGNS[finding.mark]
        click.echo(f"{click.style(sign, fg=colour, bold=True)} {_capital(finding.check)}: {finding.words}.")
        if finding.advice:
            click.echo(f"    {finding.advice}")
    click.echo()
    if advice:
        click.echo(advice)
    click.echo(_verdict(findings))


def _verdict(findings: Sequence[Finding]) -> str:
    wrong = sum(finding.mark is Mark.BROKEN for finding in findings)
    careful = sum(finding.mark is Mark.CARE for finding in findings)
    if wrong:
        return f"{counted(wrong, 'thing')} broken (✗): Mailroom cannot do all its work until mended."
    if careful:
        return f"Mailroom can work. {counted(careful, 'thing')} to look at (!)."
    return "All is well."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
