"""Fills a database for the desk: mails, three attempts for each, a message for each third, a task for each ten,
accounts, sign-ups, audit entries and a month of counters.

Ids are UUIDs of version 7 of the time that a row is of, as Mailroom makes them: searches rely on it.
"""

import psycopg

PART = 100_000
"""Mails in one statement."""

KEYS = """
insert into api_keys (id, name, start, hash, scope, created_at)
select uuidv7(), 'shop-' || n, 'mr_live_' || n, sha256(convert_to('key ' || n, 'UTF8')), 'sending', now()
from generate_series(0, 9) as n on conflict do nothing
"""
MESSAGES = """
insert into messages (id, key_id, sender, to_addresses, subject, stream, tags, size, created_at)
select uuidv7(at - clock_timestamp()), (select id from api_keys where name = 'shop-' || n %% 10),
    'shop@example.org', array['person' || n || '@example.org'],
    (array['Your invoice', 'Your order is on its way', 'News of the week', 'A receipt'])[n %% 4 + 1] || ' ' || n,
    case when n %% 2 = 0 then 'bulk' else 'transactional' end,
    case when n %% 100 = 0 then '{"campaign": "spring"}'::jsonb else '{}' end, 3000, at
from (
    select n, %(now)s::timestamptz - interval '30 days' * (%(of)s::int - n) / %(of)s::int as at
    from generate_series(%(first)s::int, %(last)s::int, 3) as n
) as numbered
returning id, split_part(subject, ' ', -1)::int
"""
MAILS = """
with said as materialized (
    select * from unnest(%(messages)s::uuid[], %(numbers)s::int[]) as told (message, number)
), made as (
    insert into mails (id, kind, recipient, params, nonce, on_uncertain, state, stage, attempt, step, reason, code,
        enhanced, answer, message_id, stream, created_at, changed_at, ended_at, nudge_at, next_attempt_at,
        expires_at)
    select uuidv7(at - clock_timestamp()), case when message is null then 'confirm_sign_up' else 'message' end,
        'person' || n || '@' || (array['example.org', 'example.com', 'mail.example', 'post.example'])[n %% 4 + 1],
        case when n > %(of)s::int - %(of)s::int / 100 then '{}'::jsonb end,
        case when n > %(of)s::int - %(of)s::int / 100 then '\\x00'::bytea end, 'resend', state,
        case when state = 'sent' then 'accepted' end, 3, 9,
        case when state = 'failed' then 'mailbox refused' when state = 'retrying' then 'deferred' end,
        case state when 'sent' then 250 when 'failed' then 550 when 'retrying' then 451 end,
        case state when 'sent' then '2.0.0' when 'failed' then '5.1.1' when 'retrying' then '4.7.1' end,
        case state when 'failed' then 'no such mailbox here' when 'retrying' then 'greylisted' else 'ok' end,
        message, case when message is not null and n %% 2 = 0 then 'bulk' else 'transactional' end,
        at, at + interval '1 s', case when state in ('sent', 'failed') then at + interval '1 s' end,
        case when state = 'retrying' then now() + interval '1 hour' end,
        case when state = 'retrying' then now() + interval '1 hour' end, now() + interval '2 days'
    from (
        select n, %(now)s::timestamptz - interval '30 days' * (%(of)s::int - n) / %(of)s::int as at,
            case when n %% 50 = 0 then 'failed' when n %% 5000 = 1 then 'retrying' else 'sent' end as state
        from generate_series(%(first)s::int, %(last)s::int) as n
    ) as numbered left join said on said.number = n
    returning id, state, reason, code, enhanced, answer, created_at, changed_at
)
insert into attempts (mail_id, attempt, worker, server, claimed_at, connected_at, handing_over_at, ended_at,
    outcome, reason, code, enhanced, answer)
select id, tried, 'host:1#a', 'mx:25', created_at, created_at, created_at, changed_at,
    case when tried = 3 then state else 'retrying' end, case when tried = 3 then reason else 'deferred' end,
    case when tried = 3 then code else 451 end, case when tried = 3 then enhanced else '4.7.1' end, answer
from made, generate_series(1, 3) as tried
"""
TASKS = """
insert into tasks (id, title, name, state, attempt, step, current, total, began_at, ended_at, created_at, error,
    reason, arguments, traceback)
select uuidv7(at - clock_timestamp()), 'An import',
    case when n %% 1000 = 0 then 'acme.rare'
        else (array['acme.import', 'acme.report', 'mailroom.export'])[n %% 3 + 1] end,
    case when n %% 40 = 0 then 'failed' else 'done' end, 1, 5, 10, 10, at, at + interval '2 s', at,
    case when n %% 40 = 0 then 'ValueError: no' end, null, jsonb_build_array(n, 'list-' || n),
    case when n %% 40 = 0 then E'File "acme/import.py", line 3, in read\nValueError: no' end
from (select n, now() - interval '30 days' * (%(tasks)s::int - n) / %(tasks)s::int as at
    from generate_series(1, %(tasks)s::int) as n) as numbered
"""
PEOPLE = """
insert into accounts (id, email, email_key, password_hash, created_at, confirmed_at)
select uuidv7(), 'person' || n || '@example.org', 'person' || n || '@example.org', '', now(), now()
from generate_series(1, %(people)s::int) as n
"""
AUDIT = """
insert into audit_log (actor, actor_name, action, target, target_id, at)
select 'shell', 'root', 'mail.retried', 'mail', gen_random_uuid()::text, now() - n * interval '1 min'
from generate_series(%(people)s::int, 1, -1) as n
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
KEYS_OF_ROWS = {
    "fk_attempts_mail_id": ("attempts", "foreign key (mail_id) references mails"),
    "fk_mails_message_id": ("mails", "foreign key (message_id) references messages"),
}
SIZES = """
select relname, pg_size_pretty(pg_table_size(oid)), pg_size_pretty(pg_indexes_size(oid)) from pg_class
where relnamespace = 'public'::regnamespace and relkind = 'r' order by pg_total_relation_size(oid) desc limit 8
"""


def fill(url: str, mails: int) -> None:
    """Fill an empty database; about half a minute for each million of mails."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set synchronous_commit = off")
        for name, (table, _) in KEYS_OF_ROWS.items():  # the rows fit together: nobody has to look each of them up
            connection.execute(f"alter table {table} drop constraint if exists {name}")
        connection.execute(KEYS)
        row = connection.execute("select now()").fetchone()
        for first in range(1, mails + 1, PART):
            numbers = {"first": first, "last": min(first + PART - 1, mails), "of": mails, "now": row and row[0]}
            messages = connection.execute(MESSAGES, numbers).fetchall()
            told = {"messages": [one for one, _ in messages], "numbers": [number for _, number in messages]}
            connection.execute(MAILS, {**numbers, **told})
            if first // PART % 10 == 0:
                print(f"  {numbers['last']:,} mails", flush=True)
        connection.execute(TASKS, {"tasks": max(1, mails // 10)})
        for statement in (PEOPLE, AUDIT):
            connection.execute(statement, {"people": max(1, mails // 50)})
        connection.execute(COUNTERS)
        connection.execute(ROLLED)
        for name, (table, rule) in KEYS_OF_ROWS.items():
            connection.execute(f"alter table {table} add constraint {name} {rule} on delete cascade not valid")
        connection.execute("vacuum analyze")


def sizes(url: str) -> list[tuple[str, str, str]]:
    """Return the largest tables: name, size, size of the indexes."""
    with psycopg.connect(url, autocommit=True) as connection:
        return connection.execute(SIZES).fetchall()
