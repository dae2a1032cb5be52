"""Mallory asks for mail to addresses that look like Steve's, by HTTP; what arrives where decides."""

from collections.abc import Iterator

import pytest

from mailroom.ops.embedded.postgres import Postgres
from tests.journeys.conftest import link_in
from tests.journeys.people import Person, text_of
from tests.stack import Stack, running_stack

pytestmark = pytest.mark.xdist_group("look-alikes")  # one stack for the file

LOOK_ALIKES = [
    ("steve@example.test", "\u017fteve@example.test"),
    ("strasse@example.test", "stra\u00dfe@example.test"),
    ("\u03bf\u03b4\u03bf\u03c3@example.test", "\u03bf\u03b4\u03bf\u03c2@example.test"),
    ("fiona@example.test", "\ufb01ona@example.test"),
    ("anna@example.test", "\uff41nna@example.test"),
]


@pytest.fixture(scope="module")
def stack(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(postgres, tmp_path_factory.mktemp("look_alikes")) as stack:
        yield stack


@pytest.fixture
def mallory(mailroom: Stack) -> Iterator[Person]:
    with Person("mallory@example.net", mailroom.url) as person:
        yield person


def member(mailroom: Stack, address: str) -> None:
    with Person(address, mailroom.url) as owner:
        owner.watch(owner.sign_up())
        assert owner.post(link_in(mailroom.sink.to(address)[-1].part("plain"))).status_code == 303


def ask(person: Person, address: str) -> str:
    """Ask for a link to a new password and watch its mail go; return the ticket."""
    answer = person.post("/new-password", data={"email": address})
    assert answer.status_code == 303, answer.text
    ticket = answer.headers["Location"].rpartition("/")[2]
    assert person.watch(ticket)[-1]["state"] == "sent"
    return ticket


@pytest.mark.parametrize(("owner", "other"), LOOK_ALIKES)
def test_a_look_alike_gets_no_link_to_anybodys_password(
    mailroom: Stack, mallory: Person, owner: str, other: str
) -> None:
    member(mailroom, owner)
    owners = len(mailroom.sink.to(owner))
    ask(mallory, other)
    (mail,) = mailroom.sink.to(other)
    assert "/new-password/" not in mail.part("plain")
    assert len(mailroom.sink.to(owner)) == owners

    mallory.watch(mallory.sign_up(other))
    own = mailroom.sink.to(other)[-1]
    assert "already" not in str(own.message["Subject"]).lower()
    assert mallory.post(link_in(own.part("plain"))).status_code == 303
    assert other in text_of(mallory.get("/account"))


def test_another_spelling_gets_its_link_where_the_account_gets_its_mail(mailroom: Stack, mallory: Person) -> None:
    member(mailroom, "Kate@example.test")
    for typed, shown in (
        ("\u212aATE@example.test", "KATE@example.test"),
        ("kate@EXAMPLE.test", "kate@example.test"),
    ):
        ticket = ask(mallory, typed)
        mail = mailroom.sink.to("Kate@example.test")[-1]
        assert "/new-password/" in link_in(mail.part("plain"))
        assert mail.message["To"] == "Kate@example.test"
        page = text_of(mallory.get(f"/mails/{ticket}"))
        assert shown in page and "Kate@" not in page
        assert mailroom.sink.to(shown) == []


def test_mail_goes_to_the_domain_that_was_typed(mailroom: Stack, mallory: Person) -> None:
    ticket = mallory.sign_up("ivy@stra\u00dfe.test")
    mallory.watch(ticket)
    (mail,) = mailroom.sink.to("ivy@xn--strae-oqa.test")
    assert mail.message["To"] == "ivy@xn--strae-oqa.test"
    assert "ivy@stra\u00dfe.test" in text_of(mallory.get(f"/mails/{ticket}"))
    assert mailroom.sink.to("ivy@strasse.test") == []
    assert mallory.post(link_in(mail.part("plain"))).status_code == 303
    assert "ivy@stra\u00dfe.test" in text_of(mallory.get("/account"))


@pytest.mark.parametrize(
    "domain", ["\ufb01re.test", "\uff45xample.test", "example\u3002test", "\u017ftrasse.test"]
)
def test_a_domain_that_is_none_is_refused_in_words(mailroom: Stack, mallory: Person, domain: str) -> None:
    for path in ("/new-password", "/sign-up"):
        answer = mallory.post(path, data={"email": f"ivy@{domain}", "password": "seven quiet herons by the lake"})
        assert answer.status_code == 422
        assert "characters that no domain has" in answer.text
