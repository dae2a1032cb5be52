"""What can go wrong with other sites that people sign in with."""

from mailroom.accounts.errors import AccountError


class ProviderError(AccountError):
    """Something is wrong with the sign-in at another site, which is called `provider`."""

    message_code = "account.error.provider_refused"

    def __init__(self, provider: str) -> None:
        super().__init__()
        self.params = {"provider": provider}


class ProviderAway(ProviderError):
    """The provider does not answer, or what it answers cannot be read."""

    message_code = "account.error.provider_away"


class ProviderRefused(ProviderError):
    """What the provider sent is not what it was asked for, or is not signed by it. Nothing has changed."""


class ProviderDeclined(ProviderError):
    """The person, or the provider, said no."""

    message_code = "account.error.provider_declined"


class UnverifiedAddress(ProviderError):
    """The provider names no address, or has not made sure whose it is."""

    message_code = "account.error.unverified_address"


class IdentityTaken(ProviderError):
    """Another account here is linked with this account of the provider."""

    message_code = "account.error.identity_taken"


class UnknownAnswer(AccountError):
    """An answer of a provider that this browser did not ask for: used, too old, or another browser's."""

    message_code = "account.error.unknown_answer"


class UnknownIdentity(AccountError):
    """The account is not linked with this one."""

    message_code = "account.error.unknown_identity"


class TooManyIdentities(AccountError):
    """The account is linked with as many others as it may be."""

    message_code = "account.error.too_many_identities"
