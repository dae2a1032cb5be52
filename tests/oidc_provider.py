"""A provider of OpenID Connect of the tests' own: a real HTTP server on loopback that signs real tokens.

It checks what a provider has to: the client and its secret, the redirect address, PKCE, and that a code is used
once. What it says can be bent, to see that nobody believes it.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jwk, jwt

CLIENT, SECRET = "mailroom at tests", "secret/with:marks"
Claims = dict[str, Any]


def new_key(algorithm: str = "RS256") -> jwk.RSAKey | jwk.ECKey:
    """Return a key pair with a name."""
    named: Any = {"kid": secrets.token_hex(4), "use": "sig", "alg": algorithm}
    if algorithm.startswith("ES"):
        return jwk.ECKey.generate_key("P-256", named)
    return jwk.RSAKey.generate_key(2048, named)


def signed(key: Any, claims: Claims, **header: Any) -> str:
    """Return a token."""
    algorithm = key.as_dict()["alg"]
    head = {"alg": algorithm, "kid": key.kid, **header}
    return jwt.encode(head, claims, key, algorithms=[head["alg"]])


@dataclass
class Person:
    """Who is signed in at the provider at the moment."""

    sub: str = "248289761001"
    email: str | None = "alice@example.org"
    email_verified: Any = True


@dataclass
class Provider:
    """What the provider knows and says."""

    url: str
    person: Person = field(default_factory=Person)
    key: Any = field(default_factory=new_key)
    published: list[Any] = field(default_factory=list)
    document: Claims = field(default_factory=dict)
    """Changes of the metadata."""
    codes: dict[str, Claims] = field(default_factory=dict)
    change: Callable[[Claims], Claims] = lambda claims: claims
    """Bends the claims before they are signed."""
    forge: Callable[[Claims], str] | None = None
    """Makes the token, instead of the provider's key."""
    token_answer: tuple[int, Any] | None = None
    """What the token endpoint says, instead of a token."""
    user_info: Claims | None = None
    """What the user info endpoint says; None: it has no such endpoint."""
    asked: list[tuple[str, Claims]] = field(default_factory=list)
    """Each request: path and parameters."""
    says_iss: bool = True

    def __post_init__(self) -> None:
        self.published = [self.key]

    def setting(self, name: str, label: str = "") -> str:
        """Return what OIDC_PROVIDERS has of it."""
        scheme, _, rest = self.url.partition("://")
        more = f"?label={label}" if label else ""
        return f"{name}={scheme}://mailroom%20at%20tests:secret%2Fwith%3Amarks@{rest}{more}"

    def rotate(self, algorithm: str = "RS256") -> None:
        """Take a new key into use; the old one is no longer published."""
        self.key = new_key(algorithm)
        self.published = [self.key]

    def approve(self, address: str) -> str:
        """Do what a person does who signs in and agrees; return where the browser is sent back to."""
        parts = urlsplit(address)
        return self._authorize({name: value[0] for name, value in parse_qs(parts.query).items()})

    # -- endpoints

    def metadata(self) -> Claims:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
            "authorization_response_iss_parameter_supported": self.says_iss,
            **({"userinfo_endpoint": f"{self.url}/userinfo"} if self.user_info is not None else {}),
            **self.document,
        }

    def _authorize(self, asked: Claims) -> str:
        self.asked.append(("/authorize", asked))
        assert asked["client_id"] == CLIENT and asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256" and "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], **({"iss": self.url} if self.says_iss else {})}
        return f"{asked['redirect_uri']}?{urlencode(answer)}"

    def _token(self, form: Claims, client: tuple[str, str]) -> tuple[int, Any]:
        self.asked.append(("/token", form))
        if self.token_answer is not None:
            return self.token_answer
        if client != (CLIENT, SECRET):
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or (asked["redirect_uri"], asked["code_challenge"]) != (form["redirect_uri"], challenge):
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": self.person.sub,
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "nonce": asked["nonce"],
        }
        if self.person.email is not None:
            claims |= {"email": self.person.email, "email_verified": self.person.email_verified}
        claims = self.change(claims)
        token = self.forge(claims) if self.forge else signed(self.key, claims)
        return 200, {"id_token": token, "access_token": "an-access-token", "token_type": "Bearer"}

    def answer(self, method: str, path: str, sent: Claims, authorization: str) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            return 200, self.metadata()
        if path == "/keys":
            self.asked.append((path, {}))
            return 200, {"keys": [key.as_dict(private=False) for key in self.published]}
        if path == "/authorize":
            return 302, self._authorize(sent)
        if path == "/token" and method == "POST":
            user, _, word = base64.b64decode(authorization.removeprefix("Basic ") or "").decode().partition(":")
            given = (unquote_plus(user), unquote_plus(word)) if user else ("", "")
            return self._token(sent, given)
        if path == "/userinfo" and self.user_info is not None:
            assert authorization == "Bearer an-access-token"
            return 200, self.user_info
        return 404, {}


@contextmanager
def running_provider(path: str = "") -> Iterator[Provider]:
    """Run a provider; its issuer has `path` behind host and port."""

    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length).decode() if self.command == "POST" else parts.query
            sent = {name: value[0] for name, value in parse_qs(text).items()}
            authorization = self.headers.get("Authorization", "")
            status, said = provider.answer(self.command, parts.path.removeprefix(path), sent, authorization)
            body = b"" if status == 302 else said if isinstance(said, bytes) else json.dumps(said).encode()
            self.send_response(status)
            if status == 302:
                self.send_header("Location", said)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = _do  # noqa: N815  # the names of http.server

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    provider = Provider(f"http://127.0.0.1:{server.server_port}{path}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
