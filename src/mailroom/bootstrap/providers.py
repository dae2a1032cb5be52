"""The other sites that people sign in with."""

from collections.abc import Mapping

from mailroom.accounts.providers.person import SignInProvider
from mailroom.settings import Settings


def create_providers(settings: Settings) -> Mapping[str, SignInProvider]:
    """Return the providers of OIDC_PROVIDERS by name, in order. None of them is contacted yet."""
    listed = settings.sign_in_providers
    if not listed:
        return {}
    # Its HTTP client takes memory: it is loaded only if it is used.
    from mailroom.accounts.providers.provider import Provider

    return {one.name: Provider(one, redirect_uri=settings.answer_address(one.name)) for one in listed}
