"""The ledger's statements. Times are PostgreSQL's (`clock_timestamp()`), never a worker's.

Each statement locks its rows in the order of their ids, so that two processes cannot wait for each other.
ACCEPT_AND_HAND_OVER locks twice: if two of them deadlock, PostgreSQL ends one, and it is run again. The facts
of an attempt under way are in the mail's row; its row in `attempts` is written once, when it ends.

psycopg parses a statement of more than 4,096 characters again at each call. Hot statements are shorter: `_tight`
takes out the white space that is there for people.
"""


def _tight(statement: str) -> str:
    return " ".join(statement.split())


UNCERTAIN_BEFORE = """
    case when attempt > 1 then
        (select count(*) from attempts where mail_id = mails.id and uncertain_at is not null) else 0 end
"""
# When a mail was due, and from when its delivery time counts: from the commit, or the time it was scheduled for.
WAITED = """
    coalesce(next_attempt_at, changed_at) as due_at,
    case when state = 'scheduled' then coalesce(next_attempt_at, created_at) else created_at end as wanted_at
"""
# `pauses` is not read for each row: the array is made once for each statement.
NOT_PAUSED = """
    not (array['all:', 'stream:' || stream, 'kind:' || kind] && array(select what || ':' || name from pauses))
"""
CLAIMED = f"""
update mails set
    state = 'sending', stage = 'claimed', attempt = attempt + 1, step = 1, nudges = 0,
    worker = %(worker)s, claimed_at = clock_timestamp(), server = null, connected_at = null,
    handing_over_at = null,
    lease_until = clock_timestamp() + %(lease)s, nudge_at = clock_timestamp() + %(lease)s,
    next_attempt_at = null, reason = null, reason_since = null, code = null, enhanced = null, answer = null,
    changed_at = clock_timestamp()
from mine where mails.id = mine.id
returning mails.id, kind, recipient, coalesce(params, '{{}}') as params, coalesce(nonce, '') as nonce,
    created_at, expires_at, claimed_at, attempt, crashes, on_uncertain, {UNCERTAIN_BEFORE} as uncertain,
    message_id, mails.test, stream, language, mine.due_at, mine.wanted_at, traceparent
"""  # noqa: S608  # only our own constants
# All mails of the bulk stream are of one kind. So this condition is not about rows: if it is false, none is read.
BULK_GOES = """
    not exists (select from pauses
        where what = 'all' or (what, name) in (('stream', 'bulk'), ('kind', 'message')))
"""
CLAIM = f"""
with mine as materialized (
    select id, {WAITED} from mails
    where id = any(%(ids)s::uuid[]) and expires_at > clock_timestamp() and {NOT_PAUSED}
        and (%(poison_candidates)s or crashes < %(poison_from)s) and (
        state = 'queued'
        or (state in ('retrying', 'uncertain', 'scheduled') and nudge_at is not null
            and coalesce(next_attempt_at <= clock_timestamp(), true))
    )
    order by id for update skip locked
) {CLAIMED}
"""  # noqa: S608
CLAIM_WAITING = f"""
with mine as materialized (
    select id, {WAITED} from mails
    where stream = 'transactional' and state = 'queued' and nudge_at is not null and expires_at > clock_timestamp()
        and crashes < %(poison_from)s and {NOT_PAUSED}
        and not exists (select from pauses where what = 'all' or (what, name) = ('stream', 'transactional'))
    order by created_at limit %(most)s for update skip locked
) {CLAIMED}
"""  # noqa: S608
CLAIM_BULK = f"""
with mine as materialized (
    select id, {WAITED} from mails
    where stream = 'bulk' and nudge_at <= now() and state in ('queued', 'retrying', 'uncertain', 'scheduled')
        and expires_at > clock_timestamp() and coalesce(next_attempt_at <= clock_timestamp(), true)
        and {BULK_GOES}
    order by nudge_at limit %(most)s for update skip locked
) {CLAIMED}
"""  # noqa: S608

POISON_CANDIDATES = """
select id from mails
where id = any(%(ids)s::uuid[]) and crashes >= %(poison_from)s
    and state in ('queued', 'retrying', 'uncertain', 'scheduled')
"""


def _lets_acceptance_in(attempt: str) -> str:
    """Return the fence of an acceptance. All other endings count only for the attempt that the row is in.

    An acceptance that comes late counts, too, since the server has the mail. The exception is a later attempt that
    is being handed over at this moment: its ending follows, and cannot undo this acceptance.
    """
    return (
        "locked.state <> 'sent' and not "
        f"(locked.state = 'sending' and locked.stage = 'handing over' and locked.attempt > {attempt})"
    )


# `connected` (step 2) is reported, not written; so the step of an ending is at least 3. An attempt that was
# uncertain keeps its mark even if its acceptance came late: the mail may be there twice. A row of `attempts` is
# inserted or updated in one statement: a plain UPDATE would miss the row of an attempt that the sweep ended while
# this statement waited for its lock. Two attempts may end at the same moment in two processes. Both lock the
# mail's row, so that one waits for the other. LOCK runs before RECORD reads the attempts; otherwise the snapshot
# of that read would be older than the lock.
LOCK = "select id from mails where id = any(%(ids)s::uuid[]) order by id for update"
RECORD = f"""
with said as (
    select * from unnest(
        %(ids)s::uuid[], %(attempts)s::int[], %(states)s::text[], %(reasons)s::text[], %(retry_in)s::float8[],
        %(codes)s::int[], %(enhanced)s::text[], %(answers)s::text[], %(since)s::timestamptz[],
        %(crashed)s::bool[], %(connected)s::timestamptz[], %(servers)s::text[]
    ) with ordinality as wish (
        id, attempt, state, reason, retry_in, code, enhanced, answer, since, crashed, connected_at, server, place
    )
), locked as materialized (
    select id, state, stage, attempt, worker, server, claimed_at, connected_at, handing_over_at
    from mails where id in (select id from said)
    order by id for update
), taken as materialized (
    select id from said where state = 'sent'
    union select mail_id from attempts where mail_id in (select id from said where state <> 'sent')
        and outcome = 'sent'
), wish as (
    select * from said where state = 'sent' or id not in (select id from taken)
    union all
    select id, attempt, 'sent', null, null, null, null, null, null, crashed, connected_at, server, place
    from said where state <> 'sent' and id in (select id from taken)
), held as materialized (
    select wish.* from wish join locked on locked.id = wish.id
    where (locked.attempt = wish.attempt and locked.state = 'sending')
        or (wish.state = 'sent' and {_lets_acceptance_in("wish.attempt")})
), moved as (
    update mails set
        state = held.state, step = greatest(step, 2) + 1, lease_until = null, changed_at = clock_timestamp(),
        stage = case when held.state = 'sent' then 'accepted' when held.state = 'uncertain' then stage end,
        reason = held.reason, code = held.code, enhanced = held.enhanced, answer = held.answer,
        reason_since = held.since, crashes = crashes + held.crashed::int, nudges = 0,
        next_attempt_at = clock_timestamp() + make_interval(secs => held.retry_in),
        nudge_at = clock_timestamp() + case
            when held.state = 'queued' then interval '0' else make_interval(secs => held.retry_in)
        end,
        on_uncertain = case
            when held.state = 'uncertain' and held.retry_in is null then 'hold' else on_uncertain
        end,
        ended_at = case
            when held.state in ('sent', 'failed', 'expired', 'suppressed') then clock_timestamp()
            when held.state = 'uncertain' and held.retry_in is null then clock_timestamp()
        end,
        worker = case when mails.attempt > held.attempt then worker end,
        claimed_at = case when mails.attempt > held.attempt then claimed_at end
    from held where mails.id = held.id
    returning held.place, mails.attempt, mails.step, mails.state, next_attempt_at, reason_since, changed_at,
        mails.id, message_id, mails.code, mails.enhanced, mails.answer
), noted as (
    insert into attempts as known (
        mail_id, attempt, worker, server, claimed_at, connected_at, handing_over_at,
        uncertain_at, ended_at, outcome, reason, code, enhanced, answer
    )
    select said.id, said.attempt, coalesce(facts.worker, ''), coalesce(facts.server, said.server),
        coalesce(facts.claimed_at, now()), coalesce(facts.connected_at, said.connected_at),
        facts.handing_over_at, case when said.state = 'uncertain' then clock_timestamp() end,
        clock_timestamp(), said.state, said.reason, said.code, said.enhanced, said.answer
    from said join locked on locked.id = said.id and locked.attempt >= said.attempt
    left join locked as facts on facts.id = said.id and facts.attempt = said.attempt
    on conflict (mail_id, attempt) do update set
        uncertain_at = coalesce(excluded.uncertain_at, known.uncertain_at), ended_at = excluded.ended_at,
        outcome = excluded.outcome, reason = excluded.reason, code = excluded.code,
        enhanced = excluded.enhanced, answer = excluded.answer
), told as (
    insert into mail_events (mail_id, type, attempt, code, enhanced, diagnostic)
    select id, case state when 'retrying' then 'delivery_delayed' when 'expired' then 'failed' else state end,
        attempt, code, enhanced, answer
    from moved where message_id is not null and state <> 'queued'
)
select place, attempt, step, state, next_attempt_at, reason_since, changed_at from moved
"""  # noqa: S608
RECORD = _tight(RECORD)

# "is not distinct from" keeps the planner off the index on state: it would read every mail that is being sent.
HANDED = """
update mails set stage = 'handing over', step = 3, changed_at = clock_timestamp(),
    connected_at = wanted.connected_at, handing_over_at = clock_timestamp(), server = wanted.server
from (
    select * from unnest(
        %(wanted)s::uuid[], %(wanted_attempts)s::int[], %(wanted_connected)s::timestamptz[],
        %(wanted_servers)s::text[]
    ) with ordinality as wanted (id, attempt, connected_at, server, place) order by id
) as wanted
where mails.id = wanted.id and mails.attempt = wanted.attempt and mails.stage = 'claimed'
    and mails.state is not distinct from 'sending' and mails.lease_until > clock_timestamp()
returning wanted.place, mails.changed_at
"""
# RECORD for acceptances alone, together with HANDED. No mail may be in both lists. The places of those handed over
# are returned as negative numbers.
ACCEPT_AND_HAND_OVER = f"""
with said as (
    select * from unnest(
        %(ids)s::uuid[], %(attempts)s::int[], %(codes)s::int[], %(enhanced)s::text[], %(answers)s::text[]
    ) with ordinality as said (id, attempt, code, enhanced, answer, place)
), locked as materialized (
    select mails.id, mails.attempt, state, stage, worker, server, claimed_at, connected_at, handing_over_at,
        said.attempt as accepted, said.code as said_code, said.enhanced as said_enhanced,
        said.answer as said_answer, place
    from said join mails on mails.id = said.id
    order by mails.id for update of mails
), moved as (
    update mails set state = 'sent', stage = 'accepted', step = greatest(step, 2) + 1, lease_until = null,
        reason = null, reason_since = null, code = said_code, enhanced = said_enhanced, answer = said_answer,
        nudges = 0, next_attempt_at = null, nudge_at = null,
        changed_at = clock_timestamp(), ended_at = clock_timestamp(),
        worker = case when mails.attempt > accepted then mails.worker end,
        claimed_at = case when mails.attempt > accepted then mails.claimed_at end
    from locked where mails.id = locked.id and {_lets_acceptance_in("accepted")}
    returning place, mails.attempt, mails.step, mails.state, null::timestamptz as next_attempt_at,
        null::timestamptz as reason_since, mails.changed_at, mails.id, message_id
), noted as (
    insert into attempts as known (
        mail_id, attempt, worker, server, claimed_at, connected_at, handing_over_at,
        ended_at, outcome, code, enhanced, answer
    )
    select id, accepted, case when attempt = accepted and worker is not null then worker else '' end,
        case when attempt = accepted then server end,
        case when attempt = accepted and claimed_at is not null then claimed_at else now() end,
        case when attempt = accepted then connected_at end, case when attempt = accepted then handing_over_at end,
        clock_timestamp(), 'sent', said_code, said_enhanced, said_answer
    from locked where attempt >= accepted
    on conflict (mail_id, attempt) do update set ended_at = excluded.ended_at, outcome = 'sent', reason = null,
        code = excluded.code, enhanced = excluded.enhanced, answer = excluded.answer
), told as (
    insert into mail_events (mail_id, type, attempt, code, enhanced, diagnostic)
    select moved.id, 'sent', accepted, said_code, said_enhanced, said_answer
    from moved join locked on locked.id = moved.id where message_id is not null
), handed as ({HANDED})
select place, attempt, step, state, next_attempt_at, reason_since, changed_at from moved
union all select -place, null, null, null, null, null, changed_at from handed
"""  # noqa: S608
ACCEPT_AND_HAND_OVER = _tight(ACCEPT_AND_HAND_OVER)

RENEW = """
with held as materialized (
    select mails.id from unnest(%(ids)s::uuid[], %(attempts)s::int[]) as wish (id, attempt)
    join mails on mails.id = wish.id
    where mails.attempt = wish.attempt and mails.state = 'sending'
    order by mails.id for update of mails skip locked
)
update mails set lease_until = clock_timestamp() + %(lease)s, nudge_at = clock_timestamp() + %(lease)s
from held where mails.id = held.id
"""

DEFER = """
with held as materialized (
    select id from mails
    where id = any(%(ids)s) and (state = 'queued' or (state = 'retrying' and next_attempt_at <= clock_timestamp()))
    order by id for update skip locked
)
update mails set
    state = 'retrying', stage = null, step = step + 1, reason = %(reason)s, reason_since = %(since)s,
    code = %(code)s, enhanced = %(enhanced)s, answer = %(answer)s, changed_at = clock_timestamp(), nudges = 0,
    next_attempt_at = clock_timestamp() + %(wait)s, nudge_at = clock_timestamp() + %(wait)s
from held where mails.id = held.id
returning mails.id, mails.attempt, mails.step, mails.state, next_attempt_at, reason_since, changed_at
"""

# Mails that were to be claimed and are held back. They wait an hour, unless the end of the pause releases them.
DEFER_PAUSED = f"""
with held as materialized (
    select id from mails
    where id = any(%(ids)s::uuid[]) and (
        state = 'queued' or (state in ('retrying', 'scheduled') and next_attempt_at <= clock_timestamp())
    ) and not {NOT_PAUSED}
    order by id for update skip locked
)
update mails set
    state = 'retrying', stage = null, step = step + 1, reason = 'paused', reason_since = null,
    code = null, enhanced = null, answer = null, changed_at = clock_timestamp(), nudges = 0,
    next_attempt_at = clock_timestamp() + interval '1 hour', nudge_at = clock_timestamp() + interval '1 hour'
from held where mails.id = held.id
returning mails.id, mails.attempt, mails.step, mails.state, next_attempt_at, reason_since, changed_at
"""  # noqa: S608

RELEASE = """
with held as materialized (
    select id from mails
    where state = 'retrying' and reason = any(%(reasons)s) and next_attempt_at > clock_timestamp()
    order by id for update skip locked
)
update mails set next_attempt_at = clock_timestamp(), nudge_at = clock_timestamp(), step = step + 1
from held where mails.id = held.id
"""
