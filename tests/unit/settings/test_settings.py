"""What is set by hand is read as it was meant, or turned away with words that say what to write."""

from pathlib import Path

import pytest

from mailroom.settings import Settings, SettingsError, load

KEY, OLD_KEY = "k" * 32, "o" * 32


def settings_with(**changes: str) -> Settings:
    return load(
        **{
            "database_url": "postgresql://mailroom@localhost/mailroom",
            "redis_url": "redis://localhost",
            "smtp_url": "smtp://localhost",
            "mail_from": "hello@mailroom.example",
            "public_url": "https://mailroom.example",
            "secret_key": KEY,
            **changes,
        }
    )


def problem_with(**changes: str) -> str:
    with pytest.raises(SettingsError) as refused:
        settings_with(**changes)
    (problem,) = refused.value.problems
    return problem


@pytest.mark.parametrize("written", [f"{KEY},{OLD_KEY}", f" {KEY} , {OLD_KEY}\n", f"{KEY},\n  {OLD_KEY}"])
def test_keys_are_the_same_with_space_around_them(written: str) -> None:
    assert settings_with(secret_key=written).secret_keys == [KEY, OLD_KEY]


@pytest.mark.parametrize("written", ["k" * 31, "k" * 31 + " ", f"{KEY},", f"{KEY}, {' ' * 32}"])
def test_space_makes_no_key_longer(written: str) -> None:
    assert problem_with(secret_key=written).startswith("SECRET_KEY must have 32 random characters")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://mail.example.org", "https://mail.example.org"),
        ("https://mail.example.org/", "https://mail.example.org"),
        ("https://example.org/Mail/", "https://example.org/Mail"),
        ("https://example.org:8443/tools/mail_room", "https://example.org:8443/tools/mail_room"),
        ("HTTPS://Mail.Example.org", "https://mail.example.org"),
        (" https://mail.example.org:8443 ", "https://mail.example.org:8443"),
        ("https://mail.example.org:", "https://mail.example.org"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[2001:DB8::1]:8000", "http://[2001:db8::1]:8000"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("https://straße.example:8443", "https://xn--strae-oqa.example:8443"),
        ("http://[2001:0db8:0:0::0:1]", "http://[2001:db8::1]"),
        ("https://B\u00fccher.example:8443", "https://xn--bcher-kva.example:8443"),
        ("https://stra\u00dfe.example", "https://xn--strae-oqa.example"),
    ],
)
def test_public_url_is_read_however_it_is_written(written: str, read: str) -> None:
    settings = settings_with(public_url=written)
    assert settings.public_url == read
    assert settings.https == read.startswith("https:")


SCHEME_AND_HOST = "must be scheme and host, and a path where one is shared: https://mail.example.org"
WITHOUT = "must end with the host or a path: https://mail.example.org, without ? and #"
PATH = "must have a path of letters, digits, hyphens and underscores only, or none"
HOST = "must have a domain or an IP address as its host"
NO_USER = "must name no user: https://mail.example.org"
PORT = "must have a port from 1 to 65535"


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("mail.example.org", SCHEME_AND_HOST),
        ("ftp://mail.example.org", SCHEME_AND_HOST),
        ("https://", SCHEME_AND_HOST),
        ("https://mail.example.org/a b", PATH),
        ("https://mail.example.org/a//b", PATH),
        ("https://mail.example.org/../b", PATH),
        ("https://mail.example.org/%2e", PATH),
        ("https://[2001:db8::1", SCHEME_AND_HOST),
        ("https://mail. example.org", SCHEME_AND_HOST),
        ("https://mail\u3002example.org", HOST),
        ("https://\uff4dail.example.org", HOST),
        ("https://mail..example.org", HOST),
        ('https://mail"example.org', HOST),
        ("https://127.1", HOST),
        ("https://mail.0x7f", HOST),
        ("https://[fe80::1%25eth0]", HOST),
        ("https://mail.example.org:http", PORT),
        ("https://mail.example.org:0", PORT),
        ("https://mail.example.org:65536", PORT),
        ("https://mail.example.org?from=mail", WITHOUT),
        ("https://mail.example.org/#top", WITHOUT),
        ("https://alice@mail.example.org", NO_USER),
        ("https://alice:secret@mail.example.org", NO_USER),
    ],
)
def test_what_public_url_cannot_be_is_told_with_what_to_write(written: str, words: str) -> None:
    problem = problem_with(public_url=written)
    assert problem.startswith(f"PUBLIC_URL {words}")
    assert "secret" not in problem


@pytest.mark.parametrize("mark", ["'", '"'])
def test_quotation_marks_that_docker_leaves_on_are_left_out(mark: str) -> None:
    settings = settings_with(
        public_url=f"{mark}https://mailroom.example{mark}",
        mail_from=f"{mark}Mailroom <hello@mailroom.example>{mark}",
        log_level=f"{mark}debug{mark}",
        web_concurrency=f" {mark}2{mark}\n",
        host=f"{mark}{mark}",
    )
    assert settings.public_url == "https://mailroom.example"
    assert settings.mail_from == "Mailroom <hello@mailroom.example>"
    assert (settings.log_level, settings.web_concurrency, settings.host) == ("debug", 2, "0.0.0.0")
    assert settings_with(mail_from='"Mailroom" <hello@mailroom.example>').mail_from.startswith('"Mailroom"')
    assert problem_with(public_url=mark * 2).startswith("PUBLIC_URL is not set (where people reach Mailroom")


def test_quotation_marks_round_a_key_are_refused_since_they_would_change_it() -> None:
    assert problem_with(secret_key=f'"{KEY}"').startswith("SECRET_KEY stands in quotation marks")
    assert problem_with(metrics_token="'word'").startswith("METRICS_TOKEN stands in quotation marks")


@pytest.mark.parametrize(
    ("written", "read"),
    [("[::]", "::"), ("::", "::"), ("0.0.0.0", "0.0.0.0"), ("[::1]", "::1"), ("localhost", "localhost")],
)
def test_the_address_to_listen_on_may_stand_in_brackets(written: str, read: str) -> None:
    assert settings_with(host=written).host == read


@pytest.mark.parametrize("written", ["0.0.0.0:8000", "[::]:8000", "http://localhost", "a b"])
def test_the_address_to_listen_on_has_no_port(written: str) -> None:
    assert problem_with(host=written).startswith("HOST must be an address of this machine, without a port")


def test_bytes_that_are_no_text_are_said() -> None:
    assert problem_with(mail_from="B\udcfccher <hello@mailroom.example>") == "MAIL_FROM must be UTF-8."


@pytest.mark.parametrize(
    ("public_url", "ehlo", "read"),
    [
        ("https://mail.example.org", "mail.example.org", "mail.example.org"),
        ("https://b\u00fccher.example:8443", "xn--bcher-kva.example", "b\u00fccher.example:8443"),
        ("http://192.0.2.5:8000", "[192.0.2.5]", "192.0.2.5:8000"),
        ("http://[2001:DB8:0::5]", "[IPv6:2001:db8::5]", "[2001:db8::5]"),
    ],
)
def test_mail_servers_are_greeted_with_a_name_they_take(public_url: str, ehlo: str, read: str) -> None:
    settings = settings_with(public_url=public_url)
    assert (settings.ehlo_name, settings.public_host) == (ehlo, read)


def test_the_mail_server_is_the_one_that_was_named() -> None:
    assert settings_with(smtp_url="smtp://stra\u00dfe.example").smtp.host == "xn--strae-oqa.example"
    assert problem_with(smtp_url="smtp://\uff53mtp.example").startswith("SMTP_URL names a host that cannot exist")


@pytest.mark.parametrize(
    ("written", "name", "address"),
    [
        ("hello@example.org", "", "hello@example.org"),
        (" <hello@Example.org> ", "", "hello@example.org"),
        ("Mailroom <hello@example.org>", "Mailroom", "hello@example.org"),
        ('"Mailroom, Ltd." <hello@example.org>', "Mailroom, Ltd.", "hello@example.org"),
        ('"The \\"Room\\"" <hello@example.org>', 'The "Room"', "hello@example.org"),
        ("Mailroom, Ltd. <hello@example.org>", "Mailroom, Ltd.", "hello@example.org"),
        ("Mailroom @ Work <hello@example.org>", "Mailroom @ Work", "hello@example.org"),
        ("B\u00fccher <hallo@b\u00fccher.example>", "B\u00fccher", "hallo@xn--bcher-kva.example"),
    ],
)
def test_mail_from_is_read_however_it_is_written(written: str, name: str, address: str) -> None:
    sender = settings_with(mail_from=written).sender
    assert (sender.name, sender.address) == (name, address)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Mailroom", "must be an address"),
        ("Mailroom <hello>", "must be an address"),
        ("hello@", "must be an address"),
        ("@example.org", "must be an address"),
        ("a b@example.org", "must be an address"),
        ("Mailroom\r\nBcc: x <hello@example.org>", "must be an address"),
        ("b\u00fccher@example.org", "must have no letters outside ASCII before the @"),
        ("hello@\ufb01re.example", "has a domain that cannot be one"),
    ],
)
def test_what_mail_from_cannot_be_is_told_with_what_to_write(written: str, words: str) -> None:
    assert problem_with(mail_from=written).startswith(f"MAIL_FROM {words}")


@pytest.mark.parametrize(
    ("name", "written", "words"),
    [
        ("port", "eight", "PORT must be a whole number."),
        ("port", "80.5", "PORT must be a whole number."),
        ("port", "0", "PORT must be 1 or more."),
        ("port", "65536", "PORT must be 65535 or less."),
        ("smtp_idle_seconds", "soon", "SMTP_IDLE_SECONDS must be a number."),
        ("smtp_connect_timeout", "0", "SMTP_CONNECT_TIMEOUT must be more than 0."),
        ("redis_tls_verify", "perhaps", "REDIS_TLS_VERIFY must be yes or no."),
    ],
)
def test_numbers_and_switches_are_told_in_plain_words(name: str, written: str, words: str) -> None:
    assert problem_with(**{name: written}) == words


@pytest.mark.parametrize(
    ("given", "database", "redis"),
    [
        (
            {"POSTGRESQL_ADDON_URI": "postgresql://a@proxy/x", "REDIS_URL": "redis://clever"},
            "proxy/x",
            "redis://clever:6379/0",
        ),
        (
            {
                "POSTGRESQL_ADDON_URI": "postgresql://a@proxy/x",
                "POSTGRESQL_ADDON_DIRECT_URI": "postgresql://a@direct/x",
                "REDISCLOUD_URL": "redis://cloud",
            },
            "direct/x",
            "redis://cloud:6379/0",
        ),
        (
            {
                "DATABASE_URL": "postgresql://a@ours/x",
                "POSTGRESQL_ADDON_URI": "postgresql://a@proxy/x",
                "REDIS_URL": "",
                "SCALINGO_REDIS_URL": "redis://scalingo",
            },
            "ours/x",
            "redis://scalingo:6379/0",
        ),
    ],
)
def test_the_names_of_hosts_are_understood_where_ours_are_not_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], database: str, redis: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load(
        smtp_url="smtp://localhost", mail_from="a@b.example", public_url="https://m.example", secret_key=KEY
    )
    assert (database in settings.database_url, settings.limits) == (True, redis)
