"""Keys of providers: which may have signed a token."""

import pytest
from joserfc import jwk

from mailroom.accounts.providers.id_tokens import read_keys
from tests.oidc_provider import new_key


def test_only_public_keys_for_signatures_that_are_long_enough_count() -> None:
    rsa, ec = (new_key(algorithm).as_dict(private=False) for algorithm in ("RS256", "ES256"))
    with pytest.warns(match="2048"):
        weak = jwk.RSAKey.generate_key(1024).as_dict(private=False)
    others = [
        {**rsa, "use": "enc"},
        weak,
        {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"},
        {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {**ec, "x": "!"},
        {"kty": "EC"},
        {"kty": ["RSA"]},
        "a key",
        None,
    ]
    assert [key.key_type for key in read_keys({"keys": [*others, rsa, ec]})] == ["RSA", "EC"]
    for document in ({}, {"keys": None}, {"keys": {"kty": "RSA"}}):
        assert read_keys(document) == []
