"""Searches that operators saved under a name; each operator has their own."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from mailroom.desk.models import SavedSearch
from mailroom.kit.database import UnitOfWork
from mailroom.kit.errors import MailroomError
from mailroom.kit.ids import new_id

MOST = 100
"""Saved searches that one account may have."""
LONGEST_NAME = 60


class TooManySearches(MailroomError):
    """You have 100 saved searches already. Please delete one of them first."""


class SavedSearches:
    """Keeps, lists and deletes the saved searches of an account."""

    async def save(self, work: UnitOfWork, account_id: UUID, name: str, query: str) -> None:
        """Keep a search under a name; one of that name is replaced. Raises `TooManySearches`."""
        mine = select(func.count()).select_from(SavedSearch).where(SavedSearch.account_id == account_id)
        if (await work.session.scalar(mine) or 0) >= MOST:
            raise TooManySearches
        row = insert(SavedSearch).values(id=new_id(), account_id=account_id, name=name, query=query)
        named = [SavedSearch.account_id, SavedSearch.name]
        await work.session.execute(row.on_conflict_do_update(index_elements=named, set_={"query": query}))

    async def list(self, work: UnitOfWork, account_id: UUID) -> Sequence[SavedSearch]:
        """Return an account's searches by name."""
        mine = select(SavedSearch).where(SavedSearch.account_id == account_id).order_by(SavedSearch.name)
        return (await work.session.scalars(mine)).all()

    async def delete(self, work: UnitOfWork, account_id: UUID, search_id: UUID) -> None:
        """Delete a search of this account; do nothing if it is another's, or gone."""
        gone = delete(SavedSearch).where(SavedSearch.id == search_id, SavedSearch.account_id == account_id)
        await work.session.execute(gone)
