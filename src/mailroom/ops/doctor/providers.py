"""The sites that people sign in with: their metadata, their keys, and whether they know this client."""

from mailroom.accounts.providers.person import SignInProvider
from mailroom.i18n.messages import gettext, gettext_noop
from mailroom.ops.doctor.findings import Finding, broken, good, quoted
from mailroom.settings import Settings

CHECK = gettext_noop("sign-in")


async def check(settings: Settings) -> list[Finding]:
    """Return a finding for each provider of OIDC_PROVIDERS."""
    found = []
    for one in settings.sign_in_providers:
        from mailroom.accounts.providers.provider import Provider  # loads an HTTP client: only if it is used

        provider: SignInProvider = Provider(one, redirect_uri=settings.answer_address(one.name))
        try:
            trouble = await provider.trouble()
        finally:
            await provider.close()
        told = {"name": one.name, "issuer": one.issuer}
        if trouble is None:
            found.append(good(CHECK, gettext("%(name)s answers as %(issuer)s and knows this client", **told)))
            continue
        words = gettext("nobody can sign in by %(name)s: %(trouble)s", trouble=quoted(trouble, settings), **told)
        advice = gettext(
            "Correct OIDC_PROVIDERS: client, secret, and the issuer %(issuer)s to the letter.", **told
        )
        found.append(broken(CHECK, words, advice))
    return found
