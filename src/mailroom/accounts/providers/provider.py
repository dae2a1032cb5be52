"""One provider of OpenID Connect: what it publishes of itself, and exchanging a code for a person (Core §3.1)."""

import base64
import hashlib
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

from mailroom.accounts.providers import id_tokens
from mailroom.accounts.providers.documents import Document, Documents, NoDocument
from mailroom.accounts.providers.errors import ProviderAway, ProviderRefused
from mailroom.accounts.providers.id_tokens import ALGORITHMS, Expected, Key, UnknownKey, WrongToken
from mailroom.accounts.providers.person import Person, Prompt
from mailroom.settings.providers import ProviderSettings, is_safe

logger = logging.getLogger(__name__)

WELL_KNOWN = "/.well-known/openid-configuration"
SCOPE = "openid email"
KEPT = 3600.0
"""Seconds for which metadata and keys are taken to be current."""
PAUSE = 5.0
"""Seconds between two looks for new keys."""
WRONG_CLIENT = ("invalid_client", "unauthorized_client")
LONGEST_ANSWER = 8_000
"""Characters of a code."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself (OpenID Connect Discovery §3, RFC 8414)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    algorithms: Collection[str]
    takes_basic: bool
    """True if it takes the client's secret in the Authorization header (RFC 6749 §2.3.1)."""
    prompts: Collection[str] | None
    """Values of `prompt` that it takes (Initiating User Registration §4.1); None: it does not say."""
    names_itself: bool
    """True if its answers always contain `iss` (RFC 9207)."""


@dataclass(slots=True)
class _Kept:
    """Something that was fetched, and when, by the clock of this process."""

    value: Any = None
    at: float = -1e9

    def is_older(self, seconds: float) -> bool:
        return time.monotonic() - self.at > seconds

    def keep(self, value: Any) -> Any:
        self.value, self.at = value, time.monotonic()
        return value


class Provider:
    """Sends browsers to one provider, and reads what it answers. `redirect_uri` is where it sends them back to."""

    def __init__(self, settings: ProviderSettings, *, redirect_uri: str) -> None:
        self.name, self.label, self.issuer = settings.name, settings.label, settings.issuer
        self._settings = settings
        self._redirect_uri = redirect_uri
        self._documents = Documents()
        self._metadata, self._keys = _Kept(), _Kept()

    async def close(self) -> None:
        """Close the connections."""
        await self._documents.close()

    async def address(self, *, state: str, nonce: str, verifier: str, prompt: Prompt | None = None) -> str:
        """Return where a browser is sent to sign in there. Raises `ProviderAway`.

        `verifier` is kept here; only its SHA-256 goes along (PKCE, RFC 7636 §4.2). `prompt` says what the provider
        is to ask even if it knows who uses the browser.
        """
        metadata = await self._known()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if prompt is Prompt.LOGIN:
            asked["max_age"] = "0"  # then it has to say when the person signed in (Core §2, `auth_time`)
        if prompt is not None and (metadata.prompts is None or prompt in metadata.prompts):
            asked["prompt"] = prompt
        there = metadata.authorization_endpoint
        return f"{there}{'&' if urlsplit(there).query else '?'}{urlencode(asked)}"

    async def check_sender(self, issuer: str | None) -> None:
        """Check the `iss` of an answer (RFC 9207 §2.4): another provider may have sent the browser back.

        Raises `ProviderRefused`, `ProviderAway`.
        """
        if issuer is None and (await self._known()).names_itself:
            raise self._refused("its answer does not say who it is from")
        if issuer is not None and issuer != self.issuer:
            raise self._refused("its answer is from another issuer")

    async def person(self, code: str, *, verifier: str, nonce: str) -> Person:
        """Give the code to the provider, and return who signed in. Raises `ProviderRefused`, `ProviderAway`."""
        if not 0 < len(code) <= LONGEST_ANSWER:
            raise self._refused("its answer has no code")
        metadata = await self._known()
        answer = await self._tokens(metadata, code, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise self._refused("its answer has no ID token")
        expected = Expected(self.issuer, self._settings.client_id, nonce, metadata.algorithms)
        try:
            claims = await self._checked(metadata, token, expected)
        except WrongToken as error:
            raise self._refused(f"its ID token is not accepted: {error}") from None
        if "email" not in claims and metadata.userinfo_endpoint:
            told = await self._user_info(metadata.userinfo_endpoint, answer, str(claims["sub"]))
            claims = {**claims, "email_verified": None, **told}
        email, verified = claims.get("email"), claims.get("email_verified")
        authenticated = claims.get("auth_time")
        return Person(
            subject=str(claims["sub"]),
            email=email if isinstance(email, str) else None,
            is_verified=verified is True or verified == "true",
            authenticated_at=float(authenticated) if isinstance(authenticated, (int, float)) else None,
        )

    async def trouble(self) -> str | None:
        """Return why nobody could sign in with it now, in words for operators; None: no reason was found.

        It asks for the tokens of an invalid code: the provider refuses the code, or before that the client.
        """
        try:
            metadata = self._read(await self._documents.get(self.issuer.rstrip("/") + WELL_KNOWN))
            if not id_tokens.read_keys(await self._documents.get(metadata.jwks_uri)):
                return "it publishes no key that signs"
        except NoDocument as error:
            return str(error)
        try:
            await self._ask_for_tokens(metadata, "mailroom-doctor", "m" * 43)
        except NoDocument as error:
            if error.code in WRONG_CLIENT:
                return f"it does not know this client, or not with this secret ({error.code})"
        return None

    async def _known(self) -> Metadata:
        kept = self._metadata
        if not kept.is_older(KEPT):
            found: Metadata = kept.value
            return found
        try:
            document = await self._documents.get(self.issuer.rstrip("/") + WELL_KNOWN)
            found = self._read(document)
        except NoDocument as error:
            if kept.value is not None:
                kept.keep(kept.value)  # what was good an hour ago mostly still is
                return await self._known()
            raise self._away(f"its metadata could not be read: {error}") from None
        kept.keep(found)
        return found

    def _read(self, document: Document) -> Metadata:
        """Return the metadata; refuse those of another issuer (Discovery §4.3)."""
        if document.get("issuer") != self.issuer:
            raise NoDocument("it says that it is another issuer than OIDC_PROVIDERS names")
        needed = {name: document.get(name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
        for name, url in needed.items():
            if not isinstance(url, str) or not is_safe(url):
                raise NoDocument(f"its {name} is no https address")
        user_info = document.get("userinfo_endpoint")
        methods = _texts(document, "token_endpoint_auth_methods_supported")
        algorithms = _texts(document, "id_token_signing_alg_values_supported")
        return Metadata(
            **{name: str(url) for name, url in needed.items()},
            userinfo_endpoint=user_info if isinstance(user_info, str) and is_safe(user_info) else None,
            algorithms=ALGORITHMS & set(algorithms) if algorithms else ALGORITHMS,
            takes_basic=not methods or "client_secret_basic" in methods,
            prompts=_texts(document, "prompt_values_supported") or None,
            names_itself=document.get("authorization_response_iss_parameter_supported") is True,
        )

    async def _tokens(self, metadata: Metadata, code: str, verifier: str) -> Document:
        try:
            return await self._ask_for_tokens(metadata, code, verifier)
        except NoDocument as error:
            if error.code:
                raise self._refused(f"it took no code: {error.code}") from None
            raise self._away(f"its token endpoint: {error}") from None

    async def _ask_for_tokens(self, metadata: Metadata, code: str, verifier: str) -> Document:
        client_id, secret = self._settings.client_id, self._settings.client_secret
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._redirect_uri,
            "code_verifier": verifier,
        }
        basic = None
        if secret and metadata.takes_basic:
            basic = (quote_plus(client_id), quote_plus(secret))
        else:
            form["client_id"] = client_id
            if secret:
                form["client_secret"] = secret
        return await self._documents.post(metadata.token_endpoint, form, basic=basic)

    async def _checked(self, metadata: Metadata, token: str, expected: Expected) -> Mapping[str, Any]:
        """Return the claims of a token; if no key fits, look for new keys once."""
        try:
            return id_tokens.checked(token, await self._known_keys(metadata, KEPT), expected)
        except UnknownKey:
            return id_tokens.checked(token, await self._known_keys(metadata, PAUSE), expected)

    async def _known_keys(self, metadata: Metadata, newest: float) -> list[Key]:
        """Return the provider's keys, at most `newest` seconds old."""
        if self._keys.is_older(newest):
            try:
                self._keys.keep(id_tokens.read_keys(await self._documents.get(metadata.jwks_uri)))
            except NoDocument as error:
                raise self._away(f"its keys could not be read: {error}") from None
        keys: list[Key] = self._keys.value
        return keys

    async def _user_info(self, endpoint: str, answer: Document, subject: str) -> Mapping[str, Any]:
        """Return `email` and `email_verified`, which the ID token lacks, of this subject only (Core §5.3.2)."""
        token = answer.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            return {}
        try:
            found = await self._documents.get(endpoint, bearer=token)
        except NoDocument as error:
            raise self._away(f"its user info: {error}") from None
        if found.get("sub") != subject:
            raise self._refused("its user info is of another subject")
        return {name: found[name] for name in ("email", "email_verified") if name in found}

    def _refused(self, why: str) -> ProviderRefused:
        logger.warning("a sign-in with %s was refused: %s", self.name, why)
        return ProviderRefused(self.label)

    def _away(self, why: str) -> ProviderAway:
        logger.warning("a sign-in with %s was not possible: %s", self.name, why)
        return ProviderAway(self.label)


def _texts(document: Document, name: str) -> list[str]:
    listed = document.get(name)
    return [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
