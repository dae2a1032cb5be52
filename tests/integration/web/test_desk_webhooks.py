"""Webhooks in the desk: what was told, sent again, and an endpoint that is switched off and on."""

from tests.integration.web.test_desk import ANY, audit, house, with_role  # noqa: F401  # a fixture
from tests.integration.web.test_task_pages import House

HOOK = "https://shop.example/hooks?token=private"
PUT = """
insert into webhook_deliveries (id, endpoint_id, subject_id, type, payload, state, attempts, next_at, status,
    error)
values (gen_random_uuid(), %(id)s, gen_random_uuid(), %(type)s, '{"to": "private"}', %(state)s, 1,
    case %(state)s when 'waiting' then now() + interval '1 hour' end, %(status)s, %(error)s)
returning id
"""


async def endpoint_with_deliveries(house: House) -> tuple[str, list[str]]:  # noqa: F811
    async with house.services.database.begin() as work:
        events = ["email.sent", "email.failed", "email.delivered"]
        endpoint, _ = await house.services.webhooks.create(work, HOOK, events, key=None)
        ids = [
            str((await work.fetch(PUT, {"id": endpoint.id, "type": f"email.{kind}", **facts}))[0][0])
            for kind, facts in {
                "sent": {"state": "delivered", "status": 200, "error": None},
                "failed": {"state": "waiting", "status": None, "error": "timeout"},
            }.items()
        ]
    return str(endpoint.id), ids


async def states(house: House) -> dict[str, tuple[str, str | None]]:  # noqa: F811
    async with house.services.database.begin() as work:
        rows = await work.fetch("select id, state, error from webhook_deliveries", {})
        return {str(row[0]): (row[1], row[2]) for row in rows}


async def test_deliveries_are_shown_sent_again_and_end_with_their_endpoint(house: House) -> None:  # noqa: F811
    olga = await with_role(house, "olga@example.org", "operator")
    victor = await with_role(house, "victor@example.org", "viewer")
    assert "There is no webhook yet" in await olga.get("/desk/webhooks")
    webhook, (sent, waiting) = await endpoint_with_deliveries(house)
    path = f"/desk/webhooks/{webhook}"
    assert HOOK in await olga.get("/desk/webhooks") and HOOK in await olga.get(path)
    seen = await victor.get("/desk/webhooks") + await victor.get(path)
    assert "shop.example" in seen and "private" not in seen and f'action="{path}' not in seen
    page = await olga.get(path)
    assert page.index("No answer came within 10 seconds") < page.index("Status 200"), "the newest first"
    assert page.index("Events that do not happen yet") < page.rindex("<code>email.delivered</code>")
    assert f"{sent}/replay" in page and f"{waiting}/replay" not in page, "one that waits is sent by itself"
    assert "private" not in page.replace(HOOK, "")
    for delivery in (sent, waiting, ANY):
        assert await olga.post(f"{path}/deliveries/{delivery}/replay") == (303, path)
    assert await states(house) == {sent: ("waiting", None), waiting: ("waiting", "timeout")}
    assert await olga.post(f"{path}/switch") == (303, path)
    assert await states(house) == dict.fromkeys((sent, waiting), ("failed", "disabled"))
    assert "Somebody disabled it." in await olga.get(path)
    assert await olga.post(f"{path}/switch") == (303, path)
    assert "Somebody disabled it." not in await olga.get(path)
    acts = [act[0] for act in await audit(house)]
    assert acts == ["webhook.changed", "webhook.changed", "webhook.replayed"]
    for unknown in (ANY, "nonsense"):
        await olga.get(f"/desk/webhooks/{unknown}", 404)
        assert (await olga.post(f"/desk/webhooks/{unknown}/switch"))[0] == 404
    for nonsense in ("x", "0", "9" * 90, "%C2%B2"):
        await olga.get(f"{path}?before={nonsense}")


async def test_an_operator_adds_an_endpoint_and_removes_it(house: House) -> None:  # noqa: F811
    olga = await with_role(house, "olga@example.org", "operator")
    for wrong, words in {
        "shop.example/hooks": "begins with https://",
        "https://user@shop.example/": "without a user name",
        "http://127.0.0.1:6379/": "into a private network",
    }.items():
        answer = await olga.browser.post("/desk/webhooks", form={"endpoint": wrong, "task.ended": "1"})
        text = await answer.get_data(as_text=True)
        assert answer.status_code == 422 and words in text and wrong in text, wrong
        assert "checked" in text, "what was ticked stays ticked"
    answer = await olga.browser.post("/desk/webhooks", form={"endpoint": "nothing"})
    text = await answer.get_data(as_text=True)
    assert "begins with https://" in text and "at least one event" in text, "both at once"
    sent = {"endpoint": HOOK, "email.sent": "1", "email.failed": "1", "email.bounced": "1", "nonsense": "1"}
    answer = await olga.browser.post("/desk/webhooks", form=sent)
    text = await answer.get_data(as_text=True)
    assert answer.status_code == 201 and answer.headers["Cache-Control"] == "no-store"
    async with house.services.database.begin() as work:
        (row,) = await house.services.webhooks.list(work, None)
        assert house.services.webhooks.secret_of(row) in text
    assert (row.url, row.events) == (HOOK, ["email.failed", "email.sent"])
    assert "whsec_" not in await olga.get(f"/desk/webhooks/{row.id}"), "shown once"
    assert await olga.post(f"/desk/webhooks/{row.id}/remove") == (303, f"/desk/webhooks/{row.id}")
    await olga.get(f"/desk/webhooks/{row.id}")
    removed = await olga.browser.post(f"/desk/webhooks/{row.id}/remove", form={"sure": "1"})
    assert removed.headers["Location"] == "/desk/webhooks"
    await olga.get(f"/desk/webhooks/{row.id}", 404)
    assert [act[0] for act in await audit(house)] == ["webhook.removed", "webhook.created"]
