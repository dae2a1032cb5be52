"""What the services of second factors share, made once."""

from collections.abc import Sequence
from dataclasses import dataclass

from mailroom.accounts.changes.password_change import PasswordChange
from mailroom.accounts.recent_sign_in import RecentSignIn
from mailroom.accounts.security.security_log import SecurityLog
from mailroom.accounts.sessions import Sessions
from mailroom.accounts.two_factor.factors import Factors
from mailroom.accounts.two_factor.passkeys import Passkeys
from mailroom.accounts.two_factor.recovery_codes import RecoveryCodes
from mailroom.accounts.two_factor.sign_in import SignInSteps
from mailroom.accounts.two_factor.site import PasskeySite
from mailroom.accounts.two_factor.totp import Totp
from mailroom.accounts.two_factor.typed_codes import TypedCodes
from mailroom.kit.database import Database
from mailroom.kit.secret_box import SecretBox


@dataclass(frozen=True, slots=True)
class TwoFactor:
    """The three services of second factors."""

    steps: SignInSteps
    recent: RecentSignIn
    factors: Factors


def create_two_factor(
    database: Database,
    sessions: Sessions,
    log: SecurityLog,
    password_change: PasswordChange,
    *,
    secret_keys: Sequence[str],
    public_url: str,
    name: str,
) -> TwoFactor:
    """Return the services; `name` is what apps and devices call the site at `public_url`."""
    totp = Totp(SecretBox(secret_keys, "authenticator apps"), issuer=name)
    recovery_codes = RecoveryCodes(secret_keys)
    codes = TypedCodes(totp, recovery_codes)
    passkeys = Passkeys(PasskeySite.of(public_url), name=name)
    return TwoFactor(
        SignInSteps(database, sessions, log, totp=totp, codes=codes, passkeys=passkeys),
        RecentSignIn(database, sessions, password_change, log, codes=codes, passkeys=passkeys),
        Factors(database, sessions, log, totp=totp, recovery_codes=recovery_codes, passkeys=passkeys),
    )
