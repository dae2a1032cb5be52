"""Fills a database for the desk: mails, three attempts for each, a task for each ten, and a week of counters."""

import psycopg

PART = 250_000
"""Mails in one statement."""

MAILS = """
insert into mails (id, kind, recipient, params, nonce, on_uncertain, state, stage, attempt, step, reason, code,
    enhanced, answer, created_at, changed_at, ended_at, nudge_at, next_attempt_at, expires_at)
select gen_random_uuid(), case when n %% 3 = 0 then 'plain' else 'confirm_sign_up' end,
    'person' || n || '@' || (array['example.org', 'example.com', 'mail.example', 'post.example'])[n %% 4 + 1],
    '{}', '', 'resend', state, case when state = 'sent' then 'accepted' end, 3, 9,
    case when state = 'failed' then 'mailbox refused' when state = 'retrying' then 'deferred' end,
    case state when 'sent' then 250 when 'failed' then 550 when 'retrying' then 451 end,
    case state when 'sent' then '2.0.0' when 'failed' then '5.1.1' when 'retrying' then '4.7.1' end,
    case state when 'failed' then 'no such mailbox here' when 'retrying' then 'greylisted' else 'ok' end,
    at, at + interval '1 s', case when state in ('sent', 'failed') then at + interval '1 s' end,
    case when state = 'retrying' then now() + interval '1 hour' end,
    case when state = 'retrying' then now() + interval '1 hour' end, now() + interval '2 days'
from (
    select n, now() - interval '30 days' * (%(of)s::int - n) / %(of)s::int as at,
        case when n %% 50 = 0 then 'failed' when n %% 5000 = 1 then 'retrying' else 'sent' end as state
    from generate_series(%(first)s::int, %(last)s::int) as n
) as numbered
"""
ATTEMPTS = """
insert into attempts (mail_id, attempt, worker, server, claimed_at, connected_at, handing_over_at, ended_at,
    outcome, reason, code, enhanced, answer)
select id, tried, 'host:1#a', 'mx:25', created_at, created_at, created_at, changed_at,
    case when tried = 3 then state else 'retrying' end, case when tried = 3 then reason else 'deferred' end,
    case when tried = 3 then code else 451 end, case when tried = 3 then enhanced else '4.7.1' end, answer
from mails, generate_series(1, 3) as tried where not exists (select from attempts where mail_id = mails.id)
    and mails.created_at >= now() - interval '30 days' * (%(of)s - %(first)s + 1) / %(of)s
"""
TASKS = """
insert into tasks (id, title, name, state, attempt, step, current, total, began_at, ended_at, created_at, error,
    reason, arguments)
select gen_random_uuid(), 'An import', (array['acme.import', 'acme.report', 'mailroom.export'])[n %% 3 + 1],
    case when n %% 40 = 0 then 'failed' else 'done' end, 1, 5, 10, 10, at, at + interval '2 s', at,
    case when n %% 40 = 0 then 'ValueError: no' end, null, '[1, 2]'
from (select n, now() - interval '30 days' * (%(tasks)s::int - n) / %(tasks)s::int as at
    from generate_series(1, %(tasks)s::int) as n) as numbered
"""
COUNTERS = """
insert into statistics (span, at, name, label, process, count, total, buckets, counts)
select span, at, name, label, process, 100, 20, buckets, counts from (
    select 'minute' as span, date_trunc('minute', now()) - n * interval '1 min' as at, 'host:' || p as process
    from generate_series(0, 26 * 60) as n, generate_series(1, 4) as p
    union all
    select 'hour', date_trunc('hour', now()) - n * interval '1 hour', '' from generate_series(0, 24 * 40) as n
) as times, (values
    ('attempts', 'sent', '{}'::smallint[], '{}'::bigint[]), ('attempts', 'retrying', '{}', '{}'),
    ('ended', 'sent', '{}', '{}'), ('ended', 'failed', '{}', '{}'), ('created', 'transactional', '{}', '{}'),
    ('to_250', 'transactional', array(select generate_series(40, 70))::smallint[],
        array(select 3 from generate_series(40, 70))::bigint[]),
    ('queue_wait', 'transactional', array(select generate_series(20, 50))::smallint[],
        array(select 3 from generate_series(20, 50))::bigint[])
) as measured (name, label, buckets, counts)
on conflict do nothing
"""
ROLLED = """
insert into statistics_rolled (span, until)
values ('hour', date_trunc('hour', now())), ('day', date_trunc('day', now()))
on conflict (span) do nothing
"""
SIZES = """
select relname, pg_size_pretty(pg_table_size(oid)), pg_size_pretty(pg_indexes_size(oid)) from pg_class
where relnamespace = 'public'::regnamespace and relkind = 'r' order by pg_total_relation_size(oid) desc limit 8
"""


def fill(url: str, mails: int) -> None:
    """Fill the database; about a minute for each million of mails."""
    with psycopg.connect(url, autocommit=True) as connection:
        for first in range(1, mails + 1, PART):
            numbers = {"first": first, "last": min(first + PART - 1, mails), "of": mails}
            connection.execute(MAILS, numbers)
            connection.execute("analyze mails")
            connection.execute(ATTEMPTS, numbers)
            print(f"  {numbers['last']:,} mails", flush=True)
        connection.execute(TASKS, {"tasks": max(1, mails // 10)})
        connection.execute(COUNTERS)
        connection.execute(ROLLED)
        connection.execute("vacuum analyze")


def sizes(url: str) -> list[tuple[str, str, str]]:
    """Return the largest tables: name, size, size of the indexes."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(SIZES).fetchall()
