"""The rows that link accounts with those of other sites. Both signing up and linking write them."""

from uuid import UUID

from sqlalchemy.dialects.postgresql import insert

from mailroom.accounts.models import AccountIdentity
from mailroom.kit.database import UnitOfWork
from mailroom.kit.ids import new_id


async def write_link(work: UnitOfWork, account_id: UUID, issuer: str, subject: str, email: str | None) -> bool:
    """Link an account with a person at an issuer; return False if another account is linked with that person."""
    row = {"id": new_id(), "account_id": account_id, "issuer": issuer, "subject": subject, "email": email}
    made = insert(AccountIdentity).values(row).on_conflict_do_nothing(index_elements=["issuer", "subject"])
    return await work.session.scalar(made.returning(AccountIdentity.id)) is not None
