"""Prints what the doctor found, for people or machines."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import click

from mailroom.kit.text import counted
from mailroom.ops import startup
from mailroom.ops.doctor.examine import examine
from mailroom.ops.doctor.findings import Finding, broken, good
from mailroom.ops.entrypoints import Entrypoints
from mailroom.ops.observability import logs
from mailroom.ops.terminal import Mark, sign
from mailroom.settings import SettingsError

CHECK = "settings"
GOOD, WARNING, BROKEN = 0, 1, 2
"""Exit codes, as monitoring plugins have them."""


def run(entrypoints: Entrypoints, *, as_json: bool, only_wrong: bool = False) -> int:
    """Examine and print; return the exit code: 2 where something is broken, 1 with warnings, else 0.

    `only_wrong`: print a line for each thing that is wrong and nothing else, as monitoring wants it.
    """
    logs.configure("error", "doctor")
    try:
        settings = startup.settings()
    except SettingsError as error:
        findings = [broken(CHECK, problem.removesuffix(".")) for problem in error.problems]
        advice = f"The servers are checked once the settings can be read. {startup.NOT_RUNNING}"
    else:
        findings, advice = [good(CHECK, "complete and well-formed"), *examine(settings, entrypoints)], ""
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
                click.echo(f"{_capital(finding.check)}: {finding.words}.")
    else:
        _print(findings, advice)
    if Mark.BROKEN in marks:
        return BROKEN
    return WARNING if marks & {Mark.WARNING, Mark.UNKNOWN} else GOOD


def _print(findings: Sequence[Finding], advice: str) -> None:
    click.echo(startup.source())
    click.echo()
    for finding in findings:
        click.echo(f"{sign(finding.mark)} {_capital(finding.check)}: {finding.words}.")
        if finding.advice:
            click.echo(f"    {finding.advice}")
    click.echo()
    if advice:
        click.echo(advice)
    click.echo(_verdict(findings))


def _verdict(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.mark for finding in findings)
    others = [
        f"{counted(counts[mark], noun)} ({sign(mark)})"
        for mark, noun in ((Mark.WARNING, "warning"), (Mark.UNKNOWN, "open question"))
        if counts[mark]
    ]
    if counts[Mark.BROKEN]:
        broken = f"{counted(counts[Mark.BROKEN], 'fault')} ({sign(Mark.BROKEN)})"
        return f"Mailroom does not work until this is mended: {', '.join([broken, *others])}."
    return f"Mailroom works, with {' and '.join(others)}." if others else "All is well."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
