"""Single mails go from Celery's consumer into the loop: more in hand than threads, never more than prefetched."""

import json
from pathlib import Path
from uuid import UUID

import redis
from sqlalchemy import select

from mailroom.bootstrap.services import create_services
from mailroom.jobs.app import TRANSACTIONAL, create_celery
from mailroom.mail.models import Mail
from mailroom.services import Services
from tests.conftest import settings_of
from tests.processes import celery_worker
from tests.sink import Fault, Sink, wait_for

IN_HAND = 8
ONE_THREAD = ("--pool=threads", "--concurrency=1", f"--prefetch-multiplier={IN_HAND}")


async def promised(services: Services, count: int) -> list[UUID]:
    async with services.database.begin() as work:
        params = {"sign_up": "0", "browser": "Firefox"}
        put = services.outbox.put
        return [await put(work, "confirm_sign_up", f"{n}@example.org", params) for n in range(count)]


async def states(services: Services) -> dict[UUID, str]:
    async with services.database.begin() as work:
        return {mail.id: mail.state for mail in (await work.session.scalars(select(Mail))).all()}


async def test_one_thread_has_as_many_mails_in_hand_as_it_prefetches_and_ends_them_when_told_to_stop(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with Sink() as sink:
        told = settings_of({**environment, "SMTP_URL": sink.url})
        services = create_services(told, lambda _ids: None, lambda *_, **__: None, name="test")
        client = create_celery(told, worker=False)
        with (
            redis.Redis.from_url(told.redis_url) as server,
            celery_worker({**environment, "SMTP_URL": sink.url}, tmp_path, *ONE_THREAD) as worker,
        ):
            for mail_id in await promised(services, 3):  # two are acknowledged together, and one in time
                client.send_task("mailroom.deliver", [str(mail_id)], task_id=str(mail_id))
            wait_for(lambda: len(sink.accepted) == 3, 20)
            wait_for(lambda: not server.hlen("unacked") and not server.zcard("unacked_index"), 5, "acknowledged")
            sink.faults.append(Fault("dot", delay=3, keep=True))
            sink.accepted.clear()
            sink.commands.clear()
            ids = await promised(services, IN_HAND + 5)  # only now, lest the sweep publishes them first
            for mail_id in ids:
                client.send_task("mailroom.deliver", [str(mail_id)], task_id=str(mail_id))
            wait_for(lambda: sink.commands.count("DATA") == IN_HAND, 20, "as many as may be in hand")
            assert server.llen(TRANSACTIONAL) == 5, "what is not in hand waits where any worker can take it"
            worker.stop()
            known = {mail_id: state for mail_id, state in (await states(services)).items() if mail_id in ids}
            taken = {UUID(mail.message_id[1:37]) for mail in sink.accepted}
            assert {mail_id for mail_id, state in known.items() if state == "sent"} == taken
            assert {known[mail_id] for mail_id in set(ids) - taken} == {"queued"}
            one = next(iter(taken))
            result = json.loads(server.get(f"celery-task-meta-{one}") or "{}")
            assert (result["status"], result["result"]["state"]) == ("SUCCESS", "sent")
            waiting = server.lrange(TRANSACTIONAL, 0, -1)
            assert all(
                any(str(mail_id).encode() in message for message in waiting) for mail_id in set(ids) - taken
            )
            assert len(taken) >= IN_HAND
        client.close()
        await services.database.close()


async def test_where_events_are_asked_for_every_mail_is_a_task_as_celery_tells_it(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with Sink() as sink:
        told = settings_of({**environment, "SMTP_URL": sink.url})
        services = create_services(told, lambda _ids: None, lambda *_, **__: None, name="test")
        (mail_id,) = await promised(services, 1)
        client = create_celery(told, worker=False)
        with celery_worker({**environment, "SMTP_URL": sink.url}, tmp_path, *ONE_THREAD, "-E") as worker:
            client.send_task("mailroom.deliver", [str(mail_id)], task_id=str(mail_id))
            worker.wait_for(f"Task mailroom.deliver[{mail_id}] succeeded")
        client.close()
        await services.database.close()
