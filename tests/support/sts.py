"""A stand-in for AWS's Security Token Service, over TLS: it checks signature and external id, and issues keys."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

from exporter.delivery.aws import AwsKeys, sign

_ISSUED = """<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{key}</AccessKeyId>
<SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{until}</Expiration>
</Credentials></AssumeRoleResult></AssumeRoleResponse>"""
_REFUSED = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>secret words</Message></Error></ErrorResponse>"


@dataclass
class TokenService:
    """`keys` may assume `role_arn` with `external_id`, and then get `issued`, valid for `lifetime`."""

    keys: AwsKeys
    role_arn: str
    external_id: str
    issued: AwsKeys
    lifetime: timedelta = timedelta(hours=1)
    region: str = "us-east-1"
    url: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)

    def answer(self, headers: dict[str, str], content: bytes) -> tuple[int, str]:
        """Return status and body."""
        form = {name: each[0] for name, each in parse_qs(content.decode()).items()}
        self.requests.append(form)
        at = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        expected = sign(self.url, content, self.keys, region=self.region, at=at)
        wanted = {"Action": "AssumeRole", "RoleArn": self.role_arn, "ExternalId": self.external_id}
        if headers.get("authorization") != expected["authorization"] or not wanted.items() <= form.items():
            return 403, _REFUSED
        until = (datetime.now(UTC) + self.lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
        issued = self.issued
        return 200, _ISSUED.format(
            key=issued.access_key_id, secret=issued.secret_access_key, token=issued.token or "", until=until
        )


@contextmanager
def run_token_service(service: TokenService, tls: tuple[Path, Path]) -> Iterator[TokenService]:
    """Serve on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            status, body = service.answer({name.lower(): value for name, value in self.headers.items()}, content)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*tls)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    service.url = f"https://127.0.0.1:{server.server_address[1]}/"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
