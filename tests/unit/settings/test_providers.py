"""OIDC_PROVIDERS, as people write it."""

import pytest

from mailroom.settings.providers import ProviderSettings, is_safe, providers


def test_it_is_read_and_the_issuer_stays_as_it_was_written() -> None:
    google, staff, local = providers(
        "google=https://id.apps:se%3Acret@accounts.google.com,"
        "staff=https://mail%40room:s@SSO.example.org:8443/realms/staff/?label=Our%20staff, "
        "dev=http://client@127.0.0.1:9000/o/x"
    )
    assert google == ProviderSettings("google", "Google", "https://accounts.google.com", "id.apps", "se:cret")
    assert staff == ProviderSettings(
        "staff", "Our staff", "https://SSO.example.org:8443/realms/staff/", "mail@room", "s"
    )
    assert (local.issuer, local.client_secret) == ("http://127.0.0.1:9000/o/x", "")
    assert "se:cret" not in repr(google)
    assert providers("") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("https://a:b@example.org", "name each provider"),
        ("Google=https://a:b@example.org", "name each provider"),
        ("one=http://a:b@example.org", "https"),
        ("one=https://example.org", "client id"),
        ("one=https://a:b/c@example.org", "percent-encode"),
        ("one=https://a:b@example.org?scope=x", "only label"),
        ("one=https://a:b@example.org?label=", "label"),
        ("one=https://a:b@example.org,one=https://a:b@example.net", "once"),
        ("one=https://a:b@example.org,two=https://a:c@example.org", "once"),
        ("one=ftp://a:b@example.org", "look like"),
    ],
)
def test_what_it_cannot_be_is_said_without_a_part_of_it(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        providers(text)
    assert "a:b@" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://example.org/token", True),
        ("http://localhost:1/token", True),
        ("http://[::1]/token", True),
        ("http://example.org/token", False),
        ("http://localhost.example.org/token", False),
        ("http://127.0.0.1.example.org/", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("https://[", False),
    ],
)
def test_only_https_and_this_machine_are_asked(url: str, safe: bool) -> None:
    assert is_safe(url) is safe
