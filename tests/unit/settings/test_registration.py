"""REGISTRATION, as people write it."""

import pytest

from mailroom.settings.registration import EXAMPLE, RegistrationRule


@pytest.mark.parametrize(
    ("text", "mode", "domains"),
    [
        ("open", "open", set()),
        (" Invite ", "invite", set()),
        ("closed", "closed", set()),
        ("domains:example.org", "domains", {"example.org"}),
        ("Domains: @Example.org , straße.example ,", "domains", {"example.org", "xn--strae-oqa.example"}),
    ],
)
def test_it_is_read(text: str, mode: str, domains: set[str]) -> None:
    rule = RegistrationRule.parse(text)
    assert (rule.mode, set(rule.domains)) == (mode, domains)


@pytest.mark.parametrize(
    "text", ["", "everyone", "domains", "domains:", "open:example.org", "domains:a b", "domains:,"]
)
def test_what_it_cannot_be_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="must be open") as caught:
        RegistrationRule.parse(text)
    assert str(caught.value) == EXAMPLE
