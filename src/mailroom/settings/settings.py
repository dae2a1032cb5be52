"""What an operator may set, each with its default and its reason (12-factor: the environment, then `.env`)."""

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mailroom.settings import brand as brands
from mailroom.settings import env_file as env_files
from mailroom.settings import public_url as public_urls
from mailroom.settings import urls
from mailroom.settings.memory import worker_processes
from mailroom.settings.providers import ProviderSettings, providers
from mailroom.settings.registration import RegistrationRule
from mailroom.settings.sender import Sender
from mailroom.settings.sending import domain_limits
from mailroom.settings.smtp import SMTPServer
from mailroom.settings.url_parts import listening_host

SHORTEST_KEY = 32
SECRETS = frozenset({"secret_key", "metrics_token", "oidc_providers"})
READERS: dict[str, Callable[[str], object]] = {
    "smtp_url": SMTPServer.parse,
    "smtp_alert_url": SMTPServer.parse,
    "sending_per_domain": domain_limits,
    "registration": RegistrationRule.parse,
    "mail_from": Sender.parse,
    "oidc_providers": providers,
    "otel_exporter_otlp_endpoint": urls.otlp_endpoint,
}
"""Functions that read a setting's text each time that it is needed; the text is checked at the start."""


class Settings(BaseSettings):
    """Mailroom's settings; the name of each environment variable is the field's, in capitals."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    # -- the servers
    database_url: str = Field(description="PostgreSQL: postgresql://user:password@host:5432/name")
    database_connections: int = Field(10, ge=2, description="PostgreSQL connections a process may hold")
    database_direct_url: str = Field(
        "", description="PostgreSQL itself, where DATABASE_URL is a pooler in transaction mode: locks, migrations"
    )
    database_direct_connections: int = Field(5, ge=2, description="those a process may hold past a pooler")
    redis_url: str = Field(description="Redis or Valkey: redis://:password@host:6379/0; rediss:// for TLS")
    redis_connections: int = Field(20, ge=4, description="Redis connections a process may hold")
    redis_tls_verify: bool = Field(True, description="no: accept any certificate of a rediss:// server")
    broker_url: str = Field("", description="Celery's broker where it is not REDIS_URL; several joined by ;")
    result_backend_url: str = Field("", description="Celery's result backend where it is not REDIS_URL")
    visibility_timeout: int = Field(
        3600,
        ge=1,
        description="seconds until the broker hands a task to another worker; above the longest task",
    )
    results_expire: int = Field(86400, ge=60, description="seconds until a finished task's result leaves Redis")

    # -- the mail server
    smtp_url: str = Field(
        description="smtp://user:password@host:587?starttls=required|opportunistic|never, smtps://"
    )
    mail_from: str = Field(description='the From of every mail: "Mailroom <hello@example.org>"')
    smtp_alert_url: str = Field(
        "", description="mail server for alerts, where it is not SMTP_URL: mail itself may be what is broken"
    )
    alert_to: str = Field("", description="addresses alerts go to, separated by commas (default: all operators)")
    smtp_connections: int = Field(16, ge=1, description="connections to the mail server a worker process may hold")
    smtp_mails_per_connection: int = Field(100, ge=1, description="mails sent before a connection is made anew")
    smtp_idle_seconds: float = Field(5, ge=0, description="an unused connection is closed after this")
    smtp_connect_timeout: float = Field(
        30, gt=0, description="seconds to reach the mail server: TCP, TLS, its greeting, signing in"
    )
    smtp_command_timeout: float = Field(
        300, gt=0, description="seconds for the answer to each command before DATA (RFC 5321 asks for 300)"
    )
    smtp_data_timeout: float = Field(
        120, gt=0, description="seconds for the answer to DATA (RFC 5321 asks for 120)"
    )
    smtp_accept_timeout: float = Field(
        600,
        gt=0,
        description="seconds for the answer to the final dot (RFC 5321 asks for 600; less sends twice)",
    )
    sending_per_minute: int = Field(
        0, ge=0, description="mails of programs that leave in a minute; more wait their turn (0: no limit)"
    )
    sending_per_domain: str = Field("", description="the same by receiving domain: gmail.com:100,outlook.com:60")
    keep_bodies_days: int = Field(30, ge=1, description="days until a finished mail's contents are dropped")
    keep_rows_days: int = Field(
        365, ge=1, description="days until the rows of a finished mail or task are deleted"
    )
    confirmation_hours: int = Field(
        48,
        ge=1,
        description="hours the link of a confirmation mail is good for, from its sending; its code: one hour",
    )
    sign_up_days: int = Field(7, ge=1, description="days until a sign-up that nobody confirmed is deleted")
    registration: str = Field(
        "open", description="who may sign up: open, invite, closed, or domains:example.org,example.net"
    )
    invitation_days: int = Field(7, ge=1, le=30, description="days for which an invitation to sign up is good")
    sign_up_seconds: float = Field(
        2,
        ge=0,
        description="seconds that people need for the sign-up form at least; robots are faster (0: no check)",
    )
    password_blocklist: Path | None = Field(
        None, description="sorted file of leaked passwords that nobody may choose: plain, or SHA-1 as from HIBP"
    )
    form_mails_per_hour: int = Field(
        20_000,
        ge=0,
        description="mails an hour that forms cause, from all clients together; more wait (0: no limit)",
    )

    # -- the web
    public_url: str = Field(description="where people reach Mailroom: https://mail.example.org")
    secret_key: SecretStr = Field(
        description="32 random characters or more; several joined by commas: the first signs, all verify"
    )
    two_step_for_operators: Literal["optional", "required"] = Field(
        "optional", description="required: an operator's role counts once signing in takes a second step"
    )
    oidc_providers: SecretStr = Field(
        SecretStr(""),
        description="whose accounts sign in here, separated by commas: google=https://client:secret@accounts.google.com",
    )
    host: str = Field("0.0.0.0", description="address the web listens on")  # noqa: S104  # hosts route to it
    port: int = Field(8000, ge=1, le=65535, description="port the web listens on")
    trusted_proxies: int = Field(
        0, ge=0, description="number of proxies in front whose Forwarded headers are true"
    )
    web_concurrency: int = Field(1, ge=1, description="web processes on the one port")
    live_sockets_per_session: int = Field(
        50, ge=1, description="websockets one browser may hold open in a web process"
    )
    live_sockets_per_address: int = Field(
        500,
        ge=1,
        description="websockets one address may hold open in a web process, and half of its connections; an "
        "office may share one",
    )
    worker_processes: int = Field(
        worker_processes(), ge=1, description="worker processes (default: the cores, as far as the memory goes)"
    )
    worker_threads: int = Field(16, ge=1, description="tasks one worker process runs at a time")
    stop_seconds: float = Field(
        25,
        ge=1,
        le=3600,
        description="seconds in which a process that is told to stop ends; less than the host gives",
    )
    submission_port: int = Field(
        2587, ge=1, le=65535, description="port of `mailroom submission`: SMTP for other programs"
    )
    submission_processes: int = Field(1, ge=1, description="submission processes on the one port")
    submission_connections: int = Field(
        500, ge=1, description="SMTP clients that one submission process serves at a time"
    )
    submission_certificate: Path | None = Field(
        None, description="PEM file for STARTTLS, read again when it changes; without it only loopback may sign in"
    )
    submission_key: Path | None = Field(
        None, description="PEM file of its private key, where the certificate's file does not hold it"
    )
    webhook_private_networks: bool = Field(
        False, description="yes: webhooks may lead into private networks, to loopback and link-local addresses"
    )
    metrics_token: SecretStr = Field(SecretStr(""), description="bearer token for /metrics; empty: no such page")
    otel_exporter_otlp_endpoint: str = Field("", description="collector of traces (OTLP over HTTP); empty: none")
    log_level: str = Field("info", description="debug, info, warning or error")

    # -- your name
    product_name: brands.ProductName = Field(
        "", description="what pages and mails call themselves, instead of Mailroom"
    )
    logo: brands.LogoFile = Field(None, description="file of your logo: SVG or PNG, 128 KB at most")
    accent_color: brands.AccentColor = Field(
        "", description="colour of buttons and links, in hexadecimals: 7a1fa2"
    )
    support_address: brands.SupportAddress = Field(
        "", description="mail address for questions: a link in pages and mails"
    )
    privacy_url: brands.PageAddress = Field("", description="your privacy notice: a link in pages and mails")
    imprint_url: brands.PageAddress = Field("", description="page on who runs this: a link in pages and mails")

    # -- apps
    mailroom_apps: str = Field(
        "",
        description="modules of apps, separated by commas, beside those of installed packages: acme.mail,acme.crm",
    )

    # -- the embedded stack; `mailroom up` sets the last two for its own processes
    mailroom_home: Path = Field(Path(".mailroom"), description="folder of `mailroom up`: data, keys, logs")
    mailroom_embedded: bool = Field(False, description="set by `mailroom up`: loopback names count as PUBLIC_URL")
    mailroom_inbox: Path | None = Field(None, description="set by `mailroom up`: folder of the mails it caught")

    env_file: Path | None = Field(None, exclude=True, description="the .env that was read, if one was")

    @field_validator("*", mode="before")
    @classmethod
    def _unquoted(cls, value: Any, info: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        if any("\ud800" <= character <= "\udfff" for character in value):  # bytes that are no UTF-8
            raise ValueError("must be UTF-8")
        bare, field = env_files.unquoted(value), cls.model_fields[str(info.field_name)]
        if info.field_name in SECRETS:
            if bare != value.strip():
                raise ValueError("stands in quotation marks, which `docker --env-file` leaves on: leave them out")
            return value  # unlike space, quotation marks would have become a part of a key
        if not bare and field.is_required():
            raise ValueError(f"is not set ({field.description})")
        return bare or field.default

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _database(cls, value: str) -> str:
        return urls.database_url(value) if value else value

    @field_validator(*READERS)
    @classmethod
    def _readable(cls, value: Any, info: ValidationInfo) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text or info.field_name != "smtp_alert_url":
            READERS[str(info.field_name)](text)
        return value

    @field_validator("alert_to")
    @classmethod
    def _alert_to(cls, value: str) -> str:
        for address in filter(None, (part.strip() for part in value.split(","))):
            if address.count("@") != 1 or " " in address:
                raise ValueError("must be mail addresses, separated by commas: ops@example.org, olga@example.org")
        return value

    @field_validator("password_blocklist")
    @classmethod
    def _blocklist(cls, value: Path | None) -> Path | None:
        if value is not None and not (value.is_file() and os.access(value, os.R_OK)):
            raise ValueError("must be a file that can be read")
        return value

    @field_validator("public_url")
    @classmethod
    def _public_url(cls, value: str) -> str:
        return public_urls.public_url(value)

    @field_validator("secret_key")
    @classmethod
    def _secret_key(cls, value: SecretStr) -> SecretStr:
        keys = [key.strip() for key in value.get_secret_value().split(",")]
        if any(len(key) < SHORTEST_KEY for key in keys):
            raise ValueError(
                f"must have {SHORTEST_KEY} random characters or more in each key: "
                'python -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        return SecretStr(",".join(keys))

    @field_validator("host")
    @classmethod
    def _host(cls, value: str) -> str:
        return listening_host(value)

    @field_validator("log_level")
    @classmethod
    def _log_level(cls, value: str, _info: ValidationInfo) -> str:
        if value.lower() not in {"debug", "info", "warning", "error"}:
            raise ValueError("must be debug, info, warning or error")
        return value.lower()

    @model_validator(mode="after")
    def _redis_urls(self) -> "Settings":
        if ";" in self.result_backend_url:
            raise ValueError("RESULT_BACKEND_URL can name one server only; BROKER_URL may list several")
        problems = []
        for name, part in (("REDIS_URL", "limits"), ("BROKER_URL", "broker"), ("RESULT_BACKEND_URL", "results")):
            try:
                getattr(self, part)
            except ValueError as error:
                problems.append(f"{name} {error}")
                if name == "REDIS_URL":
                    break  # the other two default to it
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def domain_limits(self) -> dict[str, int]:
        """Mails a minute by receiving domain, in ASCII."""
        return domain_limits(self.sending_per_domain)

    @property
    def registration_rule(self) -> RegistrationRule:
        """Who may sign up."""
        return RegistrationRule.parse(self.registration)

    @property
    def session_database_url(self) -> str:
        """The address of the database for what needs a session: DATABASE_DIRECT_URL, or else DATABASE_URL."""
        return self.database_direct_url or self.database_url

    @property
    def sign_in_providers(self) -> list[ProviderSettings]:
        """Whose accounts sign in here."""
        return providers(self.oidc_providers.get_secret_value())

    def answer_address(self, provider: str) -> str:
        """Return where the provider of this name sends people back to."""
        return f"{self.public_url}/sign-in/with/{provider}/callback"

    @property
    def broker(self) -> str:
        """The broker's address or addresses, as kombu takes them."""
        if not self.broker_url:
            return self.limits
        return urls.broker_url(self.broker_url, verify_tls=self.redis_tls_verify)

    @property
    def results(self) -> str:
        """The result backend's address, as Celery and redis-py take it."""
        if not self.result_backend_url:
            return self.limits
        return urls.redis_url(self.result_backend_url, verify_tls=self.redis_tls_verify)

    @property
    def limits(self) -> str:
        """The address of the Redis that keeps the rate limits."""
        return urls.redis_url(self.redis_url, verify_tls=self.redis_tls_verify)

    @cached_property
    def brand(self) -> brands.Brand:
        """The operator's name, logo and colours. The logo's file is read once."""
        return brands.brand_of(
            name=self.product_name,
            public_url=self.public_url,
            logo=self.logo,
            color=self.accent_color,
            support=self.support_address,
            privacy=self.privacy_url,
            imprint=self.imprint_url,
        )

    @property
    def sender(self) -> Sender:
        """The sender of mails; without a name in MAIL_FROM its name is PRODUCT_NAME."""
        return Sender.parse(self.mail_from).or_named(self.product_name)

    @property
    def from_header(self) -> str:
        """The From header of mails that Mailroom itself sends, with the name."""
        return str(self.sender.header)

    @property
    def ehlo_name(self) -> str:
        """The name mail servers are greeted with: PUBLIC_URL's host."""
        return public_urls.ehlo_name(self.public_url)

    @property
    def public_host(self) -> str:
        """PUBLIC_URL's host and port as people read them."""
        return public_urls.readable_host(self.public_url)

    @property
    def site_path(self) -> str:
        """The path of PUBLIC_URL below which Mailroom is served ("/mail"); empty if it has the host to itself."""
        return urlsplit(self.public_url).path

    @property
    def smtp(self) -> SMTPServer:
        """The mail server."""
        return SMTPServer.parse(self.smtp_url)

    @property
    def alert_server(self) -> SMTPServer:
        """The mail server that alerts go over."""
        return SMTPServer.parse(self.smtp_alert_url or self.smtp_url)

    @property
    def alert_addresses(self) -> list[str]:
        """The addresses of ALERT_TO; none: all operators."""
        return [address for part in self.alert_to.split(",") if (address := part.strip())]

    @property
    def secret_keys(self) -> list[str]:
        """The keys, newest first: the first signs, all verify."""
        return self.secret_key.get_secret_value().split(",")

    @property
    def https(self) -> bool:
        """True if people reach Mailroom by https, so that cookies can be Secure."""
        return self.public_url.startswith("https://")
