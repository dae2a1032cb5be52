"""Signing in, signing up and linking by way of another site (OpenID Connect, code with PKCE).

A provider says who somebody is there, and nothing else is taken from it: no account is found by the address that
it names. Whoever is not linked yet signs up like everybody, by the same rules and with the same mail.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from mailroom.accounts.errors import WrongCredentials
from mailroom.accounts.models import Account
from mailroom.accounts.providers import identities, requests
from mailroom.accounts.providers.errors import (
    ProviderDeclined,
    ProviderRefused,
    UnknownAnswer,
    UnverifiedAddress,
)
from mailroom.accounts.providers.identities import Identities
from mailroom.accounts.providers.person import Person, Prompt, SignInProvider
from mailroom.accounts.providers.requests import Purpose, Request
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.sign_up.registration import Registration
from mailroom.accounts.two_factor.owner import account_of, lock_account
from mailroom.accounts.two_factor.sign_in import SignInSteps
from mailroom.accounts.two_factor.ways_in import ways_into
from mailroom.accounts.views import Origin, Session, SignedIn
from mailroom.kit import clock
from mailroom.kit.database import Database
from mailroom.kit.secret_box import SecretBox

logger = logging.getLogger(__name__)

CLOCKS_DIFFER = 60.0
PROMPTS = {Purpose.RECENT: Prompt.LOGIN, Purpose.LINK: Prompt.SELECT_ACCOUNT}
"""For these purposes the provider has to ask: somebody else may have left the browser signed in there."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider that people may choose: its name in addresses, and what it is called."""

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a browser brings back from a provider (RFC 6749 §4.1.2, RFC 9207 §2)."""

    state: str
    code: str
    issuer: str | None = None
    error: str | None = None

    def __repr__(self) -> str:
        """Leave the code out: this may reach a log."""
        return f"Answer(error={self.error!r})"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an answer: `started` or `ticket`; neither after linking, or after noting a recent sign-in."""

    purpose: Purpose
    on: Mapping[str, str]
    """The `on` that was given to `begin`."""
    started: SignedIn | None = None
    """After a sign-in: the session, or the second step that it needs."""
    ticket: UUID | None = None
    """After a sign-up: the ticket of the mail that confirms it."""


class ProviderSignIns:
    """Sends browsers to providers, and takes what they bring back. `providers` are those in use, by name."""

    def __init__(
        self,
        database: Database,
        providers: Mapping[str, SignInProvider],
        *,
        box: SecretBox,
        registration: Registration,
        steps: SignInSteps,
        sessions: Sessions,
        identities: Identities,
    ) -> None:
        self._database = database
        self._providers = providers
        self._box = box
        self._registration = registration
        self._steps = steps
        self._sessions = sessions
        self._identities = identities

    async def of_account(self, session: Session) -> Sequence[Choice]:
        """Return the providers in use that sign in to the account of this session."""
        if session.account is None or not self._providers:
            return []
        async with self._database.begin() as work:
            found = await identities.names_of(work, session.account.id, self._providers.values())
        return [Choice(one.name, one.label) for one in found]

    async def begin(self, name: str, session: Session, purpose: Purpose, on: Mapping[str, str]) -> str:
        """Return where to send this browser. `on` comes back with the outcome.

        Raises `UnknownAnswer` if there is no such provider, or if it is to prove who the owner is but is not
        linked with the account; and `ProviderAway`.
        """
        provider = self._provider(name)
        if purpose is Purpose.RECENT and name not in [one.name for one in await self.of_account(session)]:
            raise UnknownAnswer
        began = {"began": str(clock.now().timestamp())}
        state, request = requests.new(name, purpose, {**on, **began})
        address = await provider.address(
            state=state, nonce=request.nonce, verifier=request.verifier, prompt=PROMPTS.get(purpose)
        )
        async with self._database.begin() as work:
            await requests.put(work, self._box, state, request, session)
        return address

    async def take(self, name: str, answer: Answer, session: Session | None, origin: Origin) -> Outcome:
        """Take an answer: sign in, sign up, link, or note a recent sign-in, whichever the request was for.

        Raises `UnknownAnswer`, `ProviderRefused`, `ProviderDeclined`, `ProviderAway`, `UnverifiedAddress`,
        `IdentityTaken`, `TooManyIdentities`, and what `Registration.check_rule` does. The state is used up then.
        """
        provider = self._provider(name)
        async with self._database.begin() as work:  # committed before anything is checked: it is used up
            request = await requests.take(work, self._box, answer.state, session)
        if request is None or request.provider != name or session is None:
            raise UnknownAnswer
        await provider.check_sender(answer.issuer)
        if answer.error is not None:
            raise ProviderDeclined(provider.label)
        person = await provider.person(answer.code, verifier=request.verifier, nonce=request.nonce)
        if request.purpose is Purpose.SIGN_IN:
            return await self._sign_in(provider, person, request, session, origin)
        if request.purpose is Purpose.LINK:
            await self._identities.link(session, provider, person, origin)
        else:
            await self._note_recent(provider, person, request, session)
        return Outcome(request.purpose, request.on)

    async def clean_up(self) -> None:
        """Delete a bounded number of requests that are over. The sweep calls this."""
        async with self._database.begin() as work:
            await work.write(requests.CLEAN_UP, {})

    async def close(self) -> None:
        """Close the connections to providers."""
        for one in self._providers.values():
            await one.close()

    def _provider(self, name: str) -> SignInProvider:
        if name not in self._providers:
            raise UnknownAnswer
        return self._providers[name]

    async def _sign_in(
        self, provider: SignInProvider, person: Person, request: Request, session: Session, origin: Origin
    ) -> Outcome:
        """Let the owner of a linked account in, or ask for the second step; if none is linked, sign up."""
        async with self._database.begin() as work:
            identity = await identities.find(work, provider.issuer, person.subject)
            if identity is not None:
                account = await lock_account(work, Account.id == identity.account_id)
                await identities.note_use(work, identity)
                kept = bool(request.on.get("keep"))
                try:
                    started = await self._steps.finish(work, account, session, origin, kept=kept)
                except WrongCredentials:  # locked by an operator, which no answer shows
                    raise ProviderRefused(provider.label) from None
                return Outcome(request.purpose, request.on, started=started)
        if not (person.email and person.is_verified):
            raise UnverifiedAddress(provider.label)
        ticket = await self._registration.sign_up_with_provider(
            email=person.email,
            session=session,
            identity=(provider.issuer, person.subject),
            invitation=request.on.get("invitation") or None,
        )
        return Outcome(request.purpose, request.on, ticket=ticket)

    async def _note_recent(
        self, provider: SignInProvider, person: Person, request: Request, session: Session
    ) -> None:
        """Note a recent sign-in, if the provider says that the person signed in there after the request began.

        A provider that does not say when counts only for an account without a password and without a passkey.
        """
        since = person.authenticated_at
        if since is not None and since < float(request.on["began"]) - CLOCKS_DIFFER:
            raise ProviderRefused(provider.label)
        async with self._database.begin() as work:
            account = await account_of(work, session)
            identity = await identities.find(work, provider.issuer, person.subject)
            if identity is None or identity.account_id != account.id:
                raise ProviderRefused(provider.label)
            ways = await ways_into(work, account)
            if since is None and (ways.has_password or ways.passkeys):
                logger.warning("a sign-in with %s does not count: it did not say when (auth_time)", provider.name)
                raise ProviderRefused(provider.label)
            await identities.note_use(work, identity)
            await self._sessions.verified(work, session)
