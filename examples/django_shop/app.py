"""A shop in Django, in one file: sends with django-anymail's Resend backend, and shows where each mail is."""

import os
import secrets
import sys

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine
from django.urls import path

MAILROOM = os.environ["MAILROOM_URL"]
settings.configure(
    DEBUG=False,
    ALLOWED_HOSTS=["localhost"],
    ROOT_URLCONF=__name__,
    SECRET_KEY=secrets.token_hex(),
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    INSTALLED_APPS=["anymail"],
    DEFAULT_FROM_EMAIL=os.environ.get("SHOP_FROM", "Shop <shop@localhost>"),
    EMAIL_BACKEND="anymail.backends.resend.EmailBackend",
    ANYMAIL={"RESEND_API_KEY": os.environ["MAILROOM_KEY"], "RESEND_API_URL": f"{MAILROOM}/api/v1/"},
)
PAGE = Engine().from_string("""<!doctype html><html lang="en"><title>Shop</title>
<script type="module" src="{{ mailroom }}/embed.js"></script>
<main><h1>Shop</h1>
{% if token %}<p>Thank you.</p><mailroom-progress token="{{ token }}"></mailroom-progress>
{% else %}<form method="post"><input type="hidden" name="csrfmiddlewaretoken" value="{{ csrf }}">
<label>Address <input name="address" type="email"></label> <button>Order</button></form>{% endif %}
</main></html>""")


def order(request: HttpRequest) -> HttpResponse:
    from django.middleware.csrf import get_token

    token = ""
    if request.method == "POST":
        mail = EmailMessage("Your order", "Thank you.", to=[request.POST["address"]])
        mail.send()
        token = mail.anymail_status.esp_response.json()["watch_token"]
    return HttpResponse(PAGE.render(Context({"mailroom": MAILROOM, "token": token, "csrf": get_token(request)})))


urlpatterns = [path("", order)]
application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
