"""What members get from the import of contacts."""

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import csv_import
import pytest
from babel.messages.pofile import read_po
from csv_import.records import NoAddress, NoText, OpenQuotation, Records
from quart.datastructures import FileStorage

from mailroom.api.testing import Mailroom

FILE = b'\xef\xbb\xbfName;Email\r\nZo\xc3\xab;zoe@example.org\r\n"Doe; John";john@example.org\r\nNobody;\r\n'

CATALOGUES = Path(csv_import.__file__).parent / "catalogues"


def file(content: bytes, name: str = "people.csv") -> dict[str, FileStorage]:
    return {"file": FileStorage(BytesIO(content), name)}


async def test_a_member_uploads_a_file_and_a_mail_tells_the_end(mailroom: Mailroom) -> None:
    alice = await mailroom.member("alice@example.org")
    answer = await alice.post("/csv-import/", files=file(FILE))
    ticket = answer.headers["Location"]
    assert await mailroom.run_tasks() == ["done"]
    (mail,) = await mailroom.mails()
    assert (mail.to, mail.subject) == ("alice@example.org", "Your contacts are imported: people.csv")
    assert "2 contacts are imported." in mail.text
    assert "1 line has no mail address" in mail.text
    page = await (await alice.get("/csv-import/")).get_data(as_text=True)
    assert "You have 2 contacts." in page
    assert "One line has no mail address" in await (await alice.get(ticket)).get_data(as_text=True)


async def test_a_members_export_has_files_and_contacts_and_nobody_elses(mailroom: Mailroom) -> None:
    alice, bob = await mailroom.member("alice@example.org"), await mailroom.member("bob@example.org")
    await alice.post("/csv-import/", files=file(FILE))
    await bob.post("/csv-import/", files=file(b"email\nbobs@example.org\n", "bob.csv"))
    await mailroom.run_tasks()
    page = await alice.post("/account/export", form={})
    assert await mailroom.run_tasks() == ["done"]
    ticket = page.headers["Location"].rpartition("/")[2]
    content = await (await alice.get(f"/account/export/{ticket}")).get_data()
    with ZipFile(BytesIO(content)) as archive:
        read = {name: json.loads(archive.read(f"csv_import_{name}.json")) for name in ("imports", "contacts")}
        assert b"Zo\xc3\xab" in archive.read("csv_import_contacts.csv")
    assert [(one["file"], one["contacts"], one["skipped"]) for one in read["imports"]] == [("people.csv", 2, 1)]
    assert read["contacts"] == [
        {"email": "john@example.org", "name": "Doe; John"},
        {"email": "zoe@example.org", "name": "Zoë"},
    ]


async def test_a_chinese_member_gets_a_chinese_mail(mailroom: Mailroom) -> None:
    alice = await mailroom.member("alice@example.org", language="zh-Hans")
    await alice.post("/csv-import/", files=file(FILE))
    await mailroom.run_tasks()
    (mail,) = await mailroom.mails()
    assert mail.subject == "您的联系人已导入: people.csv"
    assert "您有 2 位联系人。" in await (await alice.get("/csv-import/")).get_data(as_text=True)


async def test_a_german_member_gets_a_german_mail(mailroom: Mailroom) -> None:
    alice = await mailroom.member("alice@example.org", language="de")
    await alice.post("/csv-import/", files=file(FILE))
    await mailroom.run_tasks()
    (mail,) = await mailroom.mails()
    assert mail.subject == "Ihre Kontakte sind importiert: people.csv"
    assert "2 Kontakte sind importiert." in mail.text
    assert 'lang="de"' in mail.html
    page = await (await alice.get("/csv-import/")).get_data(as_text=True)
    assert "Sie haben 2 Kontakte." in page
    assert ">Kontakte</a>" in page


def test_nothing_is_left_to_translate() -> None:
    for catalogue in CATALOGUES.glob("*/LC_MESSAGES/csv_import.po"):
        with catalogue.open("rb") as opened:
            messages = read_po(opened)
        assert [message.id for message in messages if message.id and not message.string] == []


async def test_the_same_file_twice_leaves_the_same_contacts(mailroom: Mailroom) -> None:
    alice = await mailroom.member()
    for _ in range(2):
        await alice.post("/csv-import/", files=file(FILE))
    assert await mailroom.run_tasks() == ["done", "done"]
    assert "You have 2 contacts." in await (await alice.get("/csv-import/")).get_data(as_text=True)


@pytest.mark.parametrize(
    ("content", "words"), [(None, "Please choose a file."), (b"", "This file is empty.")], ids=["none", "empty"]
)
async def test_a_form_that_cannot_be_right_says_what_to_do(
    mailroom: Mailroom, content: bytes | None, words: str
) -> None:
    alice = await mailroom.member()
    sent = {"form": {}} if content is None else {"files": file(content)}
    answer = await alice.post("/csv-import/", **sent)
    assert answer.status_code == 422
    assert words in await answer.get_data(as_text=True)


async def test_a_file_that_cannot_be_read_fails_with_a_sentence(mailroom: Mailroom) -> None:
    alice = await mailroom.member()
    answer = await alice.post("/csv-import/", files=file("Email\nzoë@example.org\n".encode("latin-1")))
    assert await mailroom.run_tasks() == ["failed"]
    page = await (await alice.get(answer.headers["Location"])).get_data(as_text=True)
    assert "not text in UTF-8" in page
    assert await mailroom.mails() == []


async def test_nobody_sees_the_contacts_of_another_member(mailroom: Mailroom) -> None:
    alice, bob = await mailroom.member("alice@example.org"), await mailroom.member("bob@example.org")
    ticket = (await alice.post("/csv-import/", files=file(FILE))).headers["Location"]
    await mailroom.run_tasks()
    assert "You have 0 contacts." in await (await bob.get("/csv-import/")).get_data(as_text=True)
    assert (await bob.get(ticket)).status_code == 404
    assert (await mailroom.visitor().get("/csv-import/")).headers["Location"].startswith("/sign-in")


async def test_a_file_that_was_not_imported_is_dropped_after_a_day(mailroom: Mailroom) -> None:
    alice = await mailroom.member()
    await alice.post("/csv-import/", files=file(FILE))
    await mailroom.clean_up()
    async with mailroom.services.begin() as work:
        assert await work.fetch("select count(*) from csv_import_pieces", {}) == [(1,)]
        await work.write("update csv_import_imports set created_at = now() - interval '25 hours'", {})
    await mailroom.clean_up()
    async with mailroom.services.begin() as work:
        assert await work.fetch("select count(*) from csv_import_pieces", {}) == [(0,)]
    assert await mailroom.run_tasks() == ["failed"]


def read(content: bytes, size: int) -> Iterator[tuple[str, str]]:
    records = Records()
    for start in range(0, len(content), size):
        yield from records.feed(content[start : start + size], last=start + size >= len(content))


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_record_is_read_wherever_the_pieces_are_cut(size: int) -> None:
    content = b'email,name\na@b.example,"two\nlines, ""quoted"""\nc@d.example,Zo\xc3\xab'
    assert list(read(content, size)) == [("a@b.example", 'two\nlines, "quoted"'), ("c@d.example", "Zoë")]


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"email\n\xff@example.org\n", NoText),
        (b"surname,name\nDoe,John\n", NoAddress),
        (b'email\n"a@b.example\n', OpenQuotation),
        (b'email\n"' + b"x" * 1_100_000, OpenQuotation),
    ],
)
def test_a_file_that_is_none_says_so(content: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(read(content, 100_000))
