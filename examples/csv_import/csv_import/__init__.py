"""Members upload their contacts as a CSV file: an app for Mailroom."""

from pydantic import Field

from csv_import.words import ended
from mailroom.api import App, AppSettings, ExportedTable, MailKind, NavigationItem, Sentence, TaskKind
from mailroom.api import gettext_noop as _


class CsvImportSettings(AppSettings):
    """CSV_IMPORT_… in the environment."""

    keep_hours: int = Field(24, ge=1, description="hours until a file is dropped that was not imported to its end")


app = App(
    "csv_import",
    blueprints=["csv_import.web:blueprint"],
    navigation=[NavigationItem("/csv-import", _("Contacts"))],
    tasks=[
        TaskKind(
            name="csv_import.read",
            place="csv_import.tasks:read",
            cancellable=True,
            result_template="csv_import/result.html",
            result_values="csv_import.web:result",
        )
    ],
    mails=[MailKind("csv_import.ended", Sentence("csv_import.mail"), variables=ended)],
    settings=CsvImportSettings,
    commands={"csv-imports": "csv_import.shell:imports"},
    exports=[
        ExportedTable(
            name="csv_import_imports",
            columns=["file", "size", "lines", "created_at", "ended_at", "contacts", "skipped"],
            place="csv_import.exports:imports",
        ),
        ExportedTable(name="csv_import_contacts", columns=["email", "name"], place="csv_import.exports:contacts"),
    ],
    clean_ups=["csv_import.cleaning:drop_old_files"],
    models="csv_import.models",
    sentences={
        "csv_import.task": _("Import of %(file)s"),
        "csv_import.mail": _("Mail about an import"),
        "csv_import.reading": _("Reading the file"),
        "csv_import.done": _("The whole file is read."),
        "csv_import.error.no_text": _(
            "This file is not text in UTF-8. Save it as “CSV UTF-8” and upload it again."
        ),
        "csv_import.error.no_address": _(
            "No column of the first line is called “email” or “mail”. Add a first line that names the columns."
        ),
        "csv_import.error.quotation": _("A quotation mark is left open near line %(line)s."),
        "csv_import.error.gone": _("The file is not kept any more. Please upload it again."),
    },
)
