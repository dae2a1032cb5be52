"""The statements that workers use for rows of tasks. Each is conditional, so that it may run twice.

They are plain psycopg, at a fifth of the cost of SQLAlchemy's engine. A transaction that locks a group or chain
and its parts locks the group or chain first.
"""

_BEGIN = """
update tasks set state = 'running', attempt = attempt + 1, step = 1, lease_until = now() + %(lease)s,
    nudge_at = null, nudges = 0, cancellable = %(cancellable)s, began_at = now(), ended_at = null, retry_at = null,
    stage = null, message = null, message_params = null, current = null, total = null, reason = null, error = null,
    error_params = null, traceback = null
where id = %(id)s and (state in ('queued', 'retrying') or (state = 'running' and lease_until < now())
    or (%(again)s and state = 'failed' and reason = 'worker lost'))
    and not exists (select from pauses where what = 'tasks')
"""
BEGIN = _BEGIN + "returning id, attempt, part_of"
BEGIN_ALONE = f"""{_BEGIN}
    and coalesce((select parent.state from tasks parent where parent.id = tasks.part_of), 'none') <> 'queued'
returning id, attempt, part_of
"""  # noqa: S608  # only our own constants
"""Begins a task whose group or chain, if it has one, runs already, so that no other row changes.

The state of the group is read in a subquery. Written as `not exists`, it became a join, and in large groups
PostgreSQL chose a merge join that read all ended parts for each part that began.
"""
BEGIN_PARENT = """
update tasks set state = 'running', attempt = greatest(attempt, 1), step = step + 1,
    began_at = coalesce(began_at, now())
where id = (select part_of from tasks where id = %(id)s) and state = 'queued'
"""
"""Starts a group or chain when its first part begins."""
STATE = "select state from tasks where id = %s"
# The end of a task that is no part of another is an event, which webhooks tell.
TOLD = """
insert into events (type, subject_id, data)
select 'task.ended', id, jsonb_build_object('task_id', id, 'name', name, 'state', state) from done where tells
"""
END = f"""
with done as (
update tasks set state = %(state)s, step = greatest(step, %(step)s) + 1, lease_until = null, stage = %(stage)s,
    message = %(message)s, message_params = %(message_params)s, current = %(current)s, total = %(total)s,
    reason = %(reason)s, error = %(error)s, error_params = %(error_params)s, traceback = %(traceback)s,
    retry_at = %(retry_at)s, ended_at = case when %(ended)s then now() end,
    nudge_at = case when not %(ended)s then coalesce(%(retry_at)s, now()) + %(nudge)s end
where id = %(id)s and attempt = %(attempt)s
    and (state = 'running' or (state = 'failed' and reason = 'worker lost'))
returning place, (select state from tasks old where old.id = %(id)s) as was, id, name, state,
    part_of is null and %(ended)s as tells
), told as ({TOLD})
select place, was from done
"""  # noqa: S608  # only our own constants
FAIL_LOST = f"""
with done as (
update tasks set state = 'failed', step = step + %(leap)s, lease_until = null, nudge_at = null, ended_at = now(),
    reason = %(reason)s, error = %(error)s, error_params = '{{}}'
where id = %(id)s and (lease_until < now() or nudges >= %(max_nudges)s)
returning place, (select state from tasks old where old.id = %(id)s) as was, id, name, state,
    part_of is null as tells
), told as ({TOLD})
select place, was from done
"""  # noqa: S608  # only our own constants
RENEW = """
update tasks set lease_until = now() + %(lease)s
from unnest(%(ids)s::uuid[], %(attempts)s::int[]) as held (id, attempt)
where tasks.id = held.id and tasks.attempt = held.attempt and tasks.state = 'running'
"""
CANCEL_REQUESTED = """
select tasks.id from unnest(%(ids)s::uuid[], %(attempts)s::int[]) as held (id, attempt)
join tasks on tasks.id = held.id and tasks.attempt = held.attempt where tasks.cancel_asked_at is not null
"""
FIND_LOST = """
select id, part_of, lease_until is not null as begun from tasks
where (lease_until < now() and state = 'running') or (nudge_at < now() and nudges >= %(max_nudges)s
    and not exists (select from pauses where what = 'tasks'))
order by id limit %(limit)s
"""
REPUBLISH = """
update tasks set nudges = nudges + 1, nudge_at = now() + least(%(first)s * 2 ^ least(nudges, 10), interval '5 min')
where not exists (select from pauses where what = 'tasks')
    and id in (select id from tasks where nudge_at < now() - %(grace)s and nudges < %(max_nudges)s
    order by nudge_at limit %(limit)s for update skip locked)
returning id, name, arguments
"""
SAY_PAUSED = """
update tasks set message = 'task.paused', message_params = '{}', step = step + 1
where id = %(id)s and state in ('queued', 'retrying') and message is distinct from 'task.paused'
    and exists (select from pauses where what = 'tasks')
"""
WAIT_AGAIN = """
update tasks set state = 'queued', nudge_at = now() + %(first)s, nudges = 0, step = step + 1, lease_until = null,
    ended_at = null, retry_at = null, reason = null, error = null, error_params = null, traceback = null,
    message = case when exists (select from pauses where what = 'tasks') then 'task.paused' end,
    message_params = case when exists (select from pauses where what = 'tasks') then '{}'::jsonb end
where id = %(id)s
    and ((state = 'failed' and reason = 'worker lost') or (state = 'running' and lease_until < now()))
"""
"""Queues a task whose worker was lost and whose message came back during a pause: no broker sends it again."""
RESUME = """
with held as materialized (
    select id from tasks where state = %(state)s and name is not null and id > %(after)s and id <= %(last)s
        and nudge_at is not null and (retry_at is null or retry_at <= now())
    order by id limit %(batch)s for update skip locked
)
update tasks set nudge_at = clock_timestamp() - %(grace)s, nudges = 0, step = step + 1,
    message = case when message <> 'task.paused' then message end,
    message_params = case when message <> 'task.paused' then message_params end
from held where tasks.id = held.id
returning tasks.id
"""
"""Lets the next sweep publish them: within five seconds, however full the queue is. It waits for no lock."""
LOCK_PARENT = "select name, state from tasks where id = %s for update"
COUNT_PARTS = """
select state, count(*),
    (array_agg(jsonb_build_object('text', error, 'params', error_params) order by place)
        filter (where error is not null))[1]
from tasks where part_of = %s group by state
"""
COUNT_MORE = """
update tasks set current = current + %(ended)s, step = step + %(ended)s
where id = %(id)s and state = 'running' and current + %(ended)s < total
returning attempt, step, current, total, extract(epoch from now() - began_at)
"""
"""Some parts have ended, others have not: counting all of them each time would cost the square of their number."""
UPDATE_PARENT = f"""
with done as (
update tasks set state = %(state)s, step = step + 1, current = %(current)s, total = %(total)s, error = %(error)s,
    error_params = %(error_params)s, attempt = greatest(attempt, 1), began_at = coalesce(began_at, now()),
    ended_at = case when %(ended)s then now() end
where id = %(id)s
returning attempt, step, extract(epoch from now() - began_at) as seconds, id, name, state,
    part_of is null and %(ended)s and (select ended_at from tasks old where old.id = %(id)s) is null as tells
), told as ({TOLD})
select attempt, step, seconds from done
"""  # noqa: S608  # only our own constants
QUEUE_NEXT = """
update tasks set nudge_at = now() + %(first)s
where part_of = %(parent)s and state = 'queued' and place = %(place)s returning id, name, arguments
"""
CANCEL_REST = """
update tasks set state = 'cancelled', step = step + 1, nudge_at = null, ended_at = now()
where part_of = %s and state in ('queued', 'retrying')
"""
INSERT_PARTS = """
insert into tasks (id, name, arguments, title, title_params, state, part_of, place, nudge_at)
select part.id, part.name, part.arguments, %(title)s, %(title_params)s, 'queued', %(parent)s, part.place - 1,
    case when %(at_once)s or part.place = 1 then now() + %(first)s end
from unnest(%(ids)s::uuid[], %(names)s::text[], %(arguments)s::jsonb[]) with ordinality
    as part (id, name, arguments, place)
"""
