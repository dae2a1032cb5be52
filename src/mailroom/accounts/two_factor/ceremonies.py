"""The ceremonies of WebAuthn (level 3, §7) for one site, by the library `webauthn`, which nothing else imports.

`passkeys.py` imports this file when the first ceremony begins: see there.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from mailroom.accounts.errors import WrongPasskey
from mailroom.accounts.two_factor.models import Passkey
from mailroom.accounts.two_factor.site import Options, PasskeySite

logger = logging.getLogger(__name__)

TRANSPORTS = frozenset(one.value for one in AuthenticatorTransport)
NOT_VERIFIED = (WebAuthnException, ValueError, TypeError, KeyError)
"""What the library may raise for input that a stranger sends."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A new passkey that was verified."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str]
    is_synced: bool


class Ceremonies:
    """Makes the requests to browsers, and verifies their answers. `name` is what devices call the site."""

    def __init__(self, site: PasskeySite, name: str) -> None:
        self._site = site
        self._name = name

    def options_to_enrol(
        self, *, user_id: bytes, user_name: str, display_name: str, challenge: bytes, known: Sequence[Passkey]
    ) -> Options:
        """Return what a browser makes a new passkey from. It makes none on a device that has a `known` one."""
        options = generate_registration_options(
            rp_id=self._site.rp_id,
            rp_name=self._name,
            user_id=user_id,
            user_name=user_name,
            user_display_name=display_name,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_descriptors(known),
        )
        return _plain(options)

    def enrolled(self, challenge: bytes, credential: Mapping[str, Any]) -> Enrolled:
        """Return a new passkey. Raises `WrongPasskey` if it was not made for this challenge and site."""
        try:
            made = verify_registration_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self._site.rp_id,
                expected_origin=self._site.origin,
                require_user_verification=True,
            )
        except NOT_VERIFIED as error:
            raise _refused(error) from None
        return Enrolled(
            credential_id=made.credential_id,
            public_key=made.credential_public_key,
            sign_count=made.sign_count,
            transports=_transports(credential),
            is_synced=made.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
        )

    def options_to_check(self, *, challenge: bytes, known: Sequence[Passkey] | None) -> Options:
        """Return what a browser signs: with one of the `known` passkeys, or with any of this site."""
        options = generate_authentication_options(
            rp_id=self._site.rp_id,
            challenge=challenge,
            allow_credentials=None if known is None else _descriptors(known),
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return _plain(options)

    def checked(self, challenge: bytes, credential: Mapping[str, Any], row: Passkey) -> int:
        """Return the new counter of the passkey that signed the challenge. Raises `WrongPasskey`."""
        try:
            checked = verify_authentication_response(
                credential=dict(credential),
                expected_challenge=challenge,
                expected_rp_id=self._site.rp_id,
                expected_origin=self._site.origin,
                credential_public_key=row.public_key,
                credential_current_sign_count=row.sign_count,
                require_user_verification=True,
            )
        except NOT_VERIFIED as error:
            raise _refused(error) from None
        return checked.new_sign_count

    @staticmethod
    def credential_id_of(credential: Mapping[str, Any]) -> bytes | None:
        """Return which passkey a browser says it used; None if it is no id."""
        try:
            return base64url_to_bytes(str(credential.get("rawId") or credential.get("id") or ""))
        except ValueError:
            return None

    @staticmethod
    def user_handle_of(credential: Mapping[str, Any]) -> bytes | None:
        """Return the account that a browser says the passkey belongs to; None if it does not say."""
        response = credential.get("response")
        handle = response.get("userHandle") if isinstance(response, Mapping) else None
        try:
            return base64url_to_bytes(handle) if isinstance(handle, str) and handle else None
        except ValueError:
            return b""


def _descriptors(rows: Sequence[Passkey]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=row.credential_id, transports=[AuthenticatorTransport(one) for one in row.transports] or None
        )
        for row in rows
    ]


def _plain(options: Any) -> Options:
    plain: Options = json.loads(options_to_json(options))
    return plain


def _transports(credential: Mapping[str, Any]) -> list[str]:
    response = credential.get("response")
    named = response.get("transports") if isinstance(response, Mapping) else None
    return sorted(TRANSPORTS & {one for one in named or () if isinstance(one, str)}) if named else []


def _refused(error: Exception) -> WrongPasskey:
    logger.info("a passkey was refused: %s", type(error).__name__)
    return WrongPasskey()
