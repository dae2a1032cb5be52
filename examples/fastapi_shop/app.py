"""A shop in FastAPI: sends its mails through Mailroom, and shows where each one is."""

import os
from html import escape
from urllib.parse import parse_qs

import httpx
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

MAILROOM = os.environ["MAILROOM_URL"]
KEY, FROM = os.environ["MAILROOM_KEY"], os.environ.get("SHOP_FROM", "Shop <shop@localhost>")
PAGE = f"""<!doctype html><html lang="en"><title>Shop</title>
<script type="module" src="{MAILROOM}/embed.js"></script><main><h1>Shop</h1>{{content}}</main></html>"""
FORM = (
    '<form method="post"><label>Address <input name="address" type="email"></label> <button>Order</button></form>'
)

app = FastAPI()


@app.get("/", response_class=HTMLResponse)
async def ask() -> str:
    return PAGE.format(content=FORM)


@app.post("/", response_class=HTMLResponse)
async def order(request: Request) -> str:
    address = parse_qs((await request.body()).decode()).get("address", [""])[0]
    mail = {"from": FROM, "to": address, "subject": "Your order", "text": "Thank you for your order."}
    async with httpx.AsyncClient(base_url=MAILROOM, headers={"Authorization": f"Bearer {KEY}"}) as client:
        answer = await client.post("/api/v1/emails", json=mail)
    if answer.is_error:
        return PAGE.format(content=f"<p>{escape(answer.json()['message'])}</p>{FORM}")
    token = answer.json()["watch_token"]
    return PAGE.format(content=f'<p>Thank you.</p><mailroom-progress token="{token}"></mailroom-progress>')
