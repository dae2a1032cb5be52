"""A shop in Flask: sends its mails through Mailroom with Resend's package, and shows where each one is."""

import os

import resend
from flask import Flask, render_template_string, request

MAILROOM = os.environ["MAILROOM_URL"]
FROM = os.environ.get("SHOP_FROM", "Shop <shop@localhost>")
resend.api_url, resend.api_key = f"{MAILROOM}/api/v1", os.environ["MAILROOM_KEY"]
PAGE = """<!doctype html><html lang="en"><title>Shop</title>
<script type="module" src="{{ mailroom }}/embed.js"></script>
<main><h1>Shop</h1>
{% if token %}<p>Thank you.</p><mailroom-progress token="{{ token }}"></mailroom-progress>
{% else %}{% if error %}<p>{{ error }}</p>{% endif %}
<form method="post"><label>Address <input name="address" type="email"></label> <button>Order</button></form>
{% endif %}</main></html>"""

app = Flask(__name__)


@app.get("/")
def ask() -> str:
    return render_template_string(PAGE, mailroom=MAILROOM)


@app.post("/")
def order() -> str:
    mail = {"from": FROM, "to": request.form["address"], "subject": "Your order", "text": "Thank you."}
    try:
        sent = resend.Emails.send(mail)
    except resend.exceptions.ResendError as error:
        return render_template_string(PAGE, mailroom=MAILROOM, error=str(error))
    return render_template_string(PAGE, mailroom=MAILROOM, token=sent["watch_token"])
