"""The desk, full of rows of every kind, in a language that puts each sentence in brackets: no code is bare."""

import re
from collections.abc import Callable
from socket import gethostname
from typing import Any

from mailroom.api_keys.keys import SCOPES, KeyRequest
from mailroom.desk.audit_log import Actor
from mailroom.i18n.code_words import ACTORS, ACTS, TARGETS
from mailroom.mail.states import REFUSED_FOR_GOOD, Reason, State
from mailroom.tasks.states import TaskState
from mailroom.webhooks.payloads import MAIL_EVENTS, TYPES
from tests.integration.web.test_desk import house, with_role
from tests.integration.web.test_task_pages import House, Person
from tests.page_texts import PageTexts, left_over
from tests.pseudo_language import pseudo, pseudo_catalogue, unmarked

__all__ = ["house", "pseudo", "pseudo_catalogue", "unmarked"]

SPOKEN = {"aria-label", "title", "alt"}
AS_IT_IS = {"code", "samp", "pre", "bdi", "time", "script", "style"}
"""Elements with what is the same in every language: codes, servers' words, addresses, moments."""
NAMES = re.compile(
    r"Mailroom|English|Esperanto|UTC|\S+@\S+|localhost\S*|<local>|(https://)?shop\.example\S*|example\.org"
    rf"|TLSv1\.3|\dxx|\d+\s(ms|MB|s|min)\b|\d\.\d\.\d\S*|(since|state):\w+|{re.escape(gethostname())}, \d+"
    r"|\b\w\w \d\d:\d\d"
)
"""Names, numbers with a unit of the SI, the hours of a chart: what is not put into words."""
PATHS = [
    "/desk",
    "/desk?period=week",
    "/desk/mails",
    "/desk/mails?q=since:30d",
    "/desk/mails?q=state:sent",
    "/desk/failures",
    "/desk/tasks",
    "/desk/workers",
    "/desk/people",
    "/desk/alerts",
    "/desk/keys",
    "/desk/keys?revoked=1",
    "/desk/webhooks",
    "/desk/invitations",
    "/desk/audit",
    "/desk/test-mail",
    "/desk/mails/all?q=state:failed&act=cancel",
]


async def fill(house: House, olga: Person) -> list[str]:
    """Put a row of every kind and state into the tables that the desk shows; return pages of single ones."""
    have = house.services
    await house.member("victor@example.org")
    async with have.database.begin() as work:
        await have.operators.grant(work, "victor@example.org", "viewer")
        for scope in SCOPES:
            wanted = KeyRequest("K", scope=scope, per_minute=10, per_hour=100, per_day=500, test=True)
            key, _ = await have.api_keys.create(work, wanted)
        refusal = (
            "insert into api_key_refusals (key_id, door, request, status, name)"
            " values (%(id)s, 'smtp', 'RCPT', 550, '5.7.1')"
        )
        await work.write(refusal, {"id": key.id})
        hook, _ = await have.webhooks.create(work, "https://shop.example/hooks", sorted(TYPES), key=None)
        for number, kind in enumerate(sorted(TYPES)):
            state = ("waiting", "delivered", "failed")[number % 3]
            await work.write(
                "insert into webhook_deliveries (id, endpoint_id, subject_id, type, payload, state, attempts,"
                " status, error, next_at) values (gen_random_uuid(), %(hook)s, gen_random_uuid(), %(kind)s, '{}',"
                " %(state)s, 2, 500, 'timeout', case %(state)s when 'waiting' then now() end)",
                {"hook": hook.id, "kind": kind, "state": state},
            )
        await work.write("update webhook_endpoints set failing_since = now()", {})
        invitation = await have.invitations.create(work, "bob@example.org", bound=True)
        await have.invitations.create(work, "carol@example.org", bound=False)
        await have.invitations.revoke(work, invitation.id)
        for act in ACTS:
            for kind, target in zip([*ACTORS] * 4, TARGETS, strict=False):
                await have.audit_log.write(
                    work, Actor(kind, "N", client="::1"), act, target=target, target_id="1", details={"role": "x"}
                )
        await _pauses_and_processes(work)
        mails = [str(mail) for mail in await _mails(work, [kind.name for kind in have.mail_kinds])]
        tasks = [await _task(work, state) for state in TaskState]
    return [
        *(f"/desk/mails/{mail}" for mail in mails),
        *(f"/desk/tasks/{task}" for task in tasks),
        f"/desk/keys/{key.id}",
        f"/desk/webhooks/{hook.id}",
        f"/desk/people/{olga.account_id}",
    ]


async def _pauses_and_processes(work: Any) -> None:
    for what, name in (("all", ""), ("tasks", ""), ("stream", "bulk"), ("kind", "plain")):
        await work.write(
            "insert into pauses (what, name, by_name) values (%(w)s, %(n)s, 'N')", {"w": what, "n": name}
        )
    facts = (
        '{"server": "S", "connections": 2, "tls": "TLSv1.3", "memory": 90000000, "mails": 1, "tasks": 2,'
        ' "circuit": {"since": "2026-11-28T02:00:00+00:00", "reason": "sign-in"}}'
    )
    for number, role in enumerate(("worker", "web", "submission")):
        await work.write(
            "insert into processes (name, role, host, pid, version, facts, seen_at) values"
            " (%(name)s, %(role)s, 'H', 1, 'v1', %(facts)s, now())",
            {"name": f"h:{number}#a", "role": role, "facts": facts},
        )


async def _mails(work: Any, kinds: list[str]) -> list[Any]:
    """Put a mail of each kind and state, those that failed for each reason; return some of them."""
    reasons = {State.FAILED: [*REFUSED_FOR_GOOD, Reason.BROKEN], State.RETRYING: [Reason.DEFERRED, Reason.TLS]}
    wanted = [(kinds[0], state, reason) for state in State for reason in reasons.get(state, [None])]
    wanted += [(kind, State.QUEUED, None) for kind in kinds]
    put = (
        "insert into mails (id, kind, recipient, on_uncertain, state, reason, expires_at, stream) values"
        " (gen_random_uuid(), %(kind)s, 'a@example.org', 'hold', %(state)s, %(reason)s, now() + interval '1 day',"
        " 'bulk') returning id"
    )
    found = []
    for kind, state, reason in wanted:
        facts = {"kind": kind, "state": state.value, "reason": reason and reason.value}
        [(mail,)] = await work.fetch(put, facts)
        found.append(mail)
    for event in MAIL_EVENTS:
        await work.write(
            "insert into mail_events (mail_id, type) values (%(m)s, %(e)s)", {"m": found[0], "e": event}
        )
    await work.write(
        "insert into attempts (mail_id, attempt, worker, claimed_at, ended_at, outcome, reason) values"
        " (%(m)s, 1, 'W', now(), now(), 'retrying', 'unreachable')",
        {"m": found[0]},
    )
    return [found[0], found[-1]]


async def _task(work: Any, state: TaskState) -> str:
    [(task,)] = await work.fetch(
        "insert into tasks (id, name, arguments, title, state, nudge_at, began_at, current, total) values"
        " (gen_random_uuid(), 'count', '[]', 'T', %(state)s, now(), now(), 1, 2) returning id",
        {"state": state.value},
    )
    return str(task)


async def test_no_page_of_the_desk_shows_a_bare_code_or_an_unmarked_word(
    house: House,
    pseudo: str,
    unmarked: Callable[[str], list[str]],
) -> None:
    olga = await with_role(house, "olga@example.org", "operator")
    pages = await fill(house, olga)
    left: dict[str, list[str]] = {}
    for path in [*PATHS, *pages]:
        answer = await olga.browser.get(path, headers={"Accept-Language": pseudo})
        assert answer.status_code == 200, path
        page = await answer.get_data(as_text=True)
        assert f'<html lang="{pseudo}"' in page
        if found := left_over(page, unmarked, NAMES, PageTexts(spoken=SPOKEN, silent=AS_IT_IS)):
            left[path] = sorted(set(found))
    assert left == {}
