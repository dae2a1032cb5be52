"""The least an app on the same parts can do for a sign-up: take the form, hash, write one row. Serves `PORT`.

No page, no limits, no session, no check of the password, no outbox, no worker: what it reaches, nothing that does
more on these cores can.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import psycopg
import uvloop
from hypercorn.asyncio import serve
from hypercorn.config import Config
from quart import Quart, Response, redirect, request

from benchmarks.stage import PROCESSES
from mailroom.accounts.passwords.hashing import Passwords
from mailroom.settings import load

TABLE = "create table if not exists least (email text primary key, password_hash text not null)"
ADD = "insert into least values (%s, %s) on conflict do nothing"


async def main() -> None:
    settings = load()
    app, hasher, threads = Quart(__name__), Passwords()._hasher, ThreadPoolExecutor(PROCESSES)  # noqa: SLF001
    url = settings.database_url.replace("+psycopg", "")
    database = await psycopg.AsyncConnection.connect(url, autocommit=True)
    await database.execute(TABLE)

    @app.get("/healthz")
    async def healthz() -> str:
        return "ok"

    @app.post("/sign-up")
    async def sign_up() -> Response:
        form = await request.form
        made = await asyncio.get_running_loop().run_in_executor(threads, hasher.hash, form["password"])
        await database.execute(ADD, (form["email"], made))
        return redirect("/healthz", 303)

    config = Config()
    config.bind = [f"127.0.0.1:{os.environ['PORT']}"]
    await serve(app, config)


if __name__ == "__main__":
    uvloop.run(main())
