"""What the sweep of the workers does for this app every ten minutes."""

from datetime import timedelta

from csv_import import CsvImportSettings, imports
from mailroom.api import services


async def drop_old_files() -> None:
    """Drop files that were not imported to their end within CSV_IMPORT_KEEP_HOURS."""
    hours = services().settings(CsvImportSettings).keep_hours
    async with services().begin() as work:
        await imports.drop_files(work, timedelta(hours=hours))
