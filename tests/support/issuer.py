"""An OpenID Connect issuer for tests: real keys, real HTTP, the parts of the protocol that Sluice uses."""

import base64
import hashlib
import json
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

AUDIENCE = "sluice"
CLIENT, SECRET = "sluice-pages", "client-secret"


@dataclass
class AuthorizationRequest:
    """An authorization request, and what has to be proven to redeem its code."""

    challenge: str
    nonce: str
    redirect_uri: str


@dataclass
class TestIssuer:
    """An issuer: its published keys, the user who logs in, and whether it is available."""

    __test__ = False

    url: str = ""
    port: int = 0
    answering: bool = True
    key_requests: int = 0
    person: dict[str, Any] = field(default_factory=dict)
    """The claims of the user at the browser; without any, the issuer denies access."""
    keys: dict[str, RSAKey | ECKey] = field(default_factory=dict)
    private: RSAKey | ECKey = field(default_factory=lambda: RSAKey.generate_key(2048))
    kid: str = "first"
    names_keys: bool = True
    """Whether keys and tokens have a key id."""
    codes: dict[str, AuthorizationRequest] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Publish the first key."""
        self.keys = {self.kid: self.private}

    def rotate(self) -> None:
        """Sign with a new key, and publish only that."""
        self.kid = secrets.token_hex(4)
        self.private = ECKey.generate_key("P-256")
        self.keys = {self.kid: self.private}

    def token(self, now: datetime, **changes: Any) -> str:
        """Return a signed token, valid for five minutes; None omits a claim."""
        at = int(now.timestamp())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "u-4711", "iat": at, "nbf": at, "exp": at + 300} | changes
        return self.sign({name: value for name, value in claims.items() if value is not None})

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        """Return a signed token with the claims."""
        algorithm = "RS256" if isinstance(self.private, RSAKey) else "ES256"
        names = {"kid": self.kid} if self.names_keys else {}
        return jwt.encode({"alg": algorithm} | names | header, claims, self.private)

    def public_pem(self) -> bytes:
        """Return the public key in PEM."""
        return self.private.as_pem(private=False)

    def get(self, path: str, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """Answer a GET."""
        match path:
            case "/.well-known/openid-configuration":
                names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
                body = {"issuer": self.url} | {name: f"{self.url}/{place}" for name, place in names.items()}
                return 200, {}, json.dumps(body).encode()
            case "/keys":
                self.key_requests += 1
                listed = [key.as_dict(private=False, kid=kid, use="sig") for kid, key in self.keys.items()]
                if not self.names_keys:
                    listed = [{name: each[name] for name in each if name != "kid"} for each in listed]
                return 200, {}, json.dumps({"keys": listed}).encode()
            case "/authorize":
                return self._authorize(query)
        return 404, {}, b""

    def _authorize(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        good = query["client_id"] == CLIENT and query["response_type"] == "code"
        good &= query["code_challenge_method"] == "S256" and "openid" in query["scope"].split()
        if not good:
            return 400, {}, b""
        back = {"state": query["state"], "iss": self.url}
        if self.person:
            code = secrets.token_urlsafe()
            self.codes[code] = AuthorizationRequest(query["code_challenge"], query["nonce"], query["redirect_uri"])
            back["code"] = code
        else:
            back["error"] = "access_denied"
        return 302, {"Location": f"{query['redirect_uri']}?{urlencode(back)}"}, b""

    def redeem(self, form: dict[str, str], authorization: str, now: datetime) -> tuple[int, dict[str, str], bytes]:
        """Exchange a code for an ID token, once, for the client that can prove its request."""
        request = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        login = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        if authorization != f"Basic {login}":
            return 401, {}, b"{}"
        if request is None or request.challenge != challenge or request.redirect_uri != form.get("redirect_uri"):
            return 400, {}, b'{"error": "invalid_grant"}'
        token = self.token(now, **({"aud": CLIENT, "nonce": request.nonce} | self.person))
        return 200, {}, json.dumps({"id_token": token, "access_token": "x", "token_type": "Bearer"}).encode()


@contextmanager
def run_issuer(
    now: Callable[[], datetime], *, tls: ssl.SSLContext | None = None, url: str | None = None
) -> Iterator[TestIssuer]:
    """Run an issuer on a free port of this machine; `url` is its address where a proxy leads to it."""
    issuer = TestIssuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place = urlsplit(self.path)
            self._answer(*issuer.get(place.path, {name: each[0] for name, each in parse_qs(place.query).items()}))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: each[0] for name, each in parse_qs(body).items()}
            self._answer(*issuer.redeem(form, self.headers.get("Authorization", ""), now()))

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status if issuer.answering else 503)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.port = server.server_address[1]
    issuer.url = url or f"http://127.0.0.1:{issuer.port}"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
