"""One HTTP request to a host that a customer named: no redirects, bounded in time and size (rule D9)."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import httpx

from shared.errors import SluiceError
from shared.net.proxy import EgressProxy


class RequestFailed(SluiceError):
    """There was no complete answer."""


@dataclass(frozen=True, slots=True)
class BoundedAnswer:
    """An answer: its status, and its body up to the limit."""

    status: int
    body: bytes


async def post(
    proxy: EgressProxy,
    url: str,
    *,
    headers: Mapping[str, str],
    content: bytes,
    tls: ssl.SSLContext,
    limit: int = 64 * 1024,
    deadline: timedelta = timedelta(seconds=30),
) -> BoundedAnswer:
    """Send a POST request over TLS and return the answer; a redirect is an answer like any other.

    Raises RequestFailed, or the proxy's reason for not connecting.
    """
    target = httpx.URL(url)
    if target.scheme != "https":
        raise RequestFailed("only https is spoken")
    plain = {**headers, "accept-encoding": "identity"}  # compressed, a few bytes could become gigabytes
    ticket = proxy.issue_ticket([(target.host, target.port or 443)])
    client = httpx.AsyncClient(proxy=httpx.Proxy(ticket.url), verify=tls, follow_redirects=False, trust_env=False)
    try:
        async with (
            asyncio.timeout(deadline.total_seconds()),
            client,
            client.stream("POST", target, headers=plain, content=content) as response,
        ):
            body = b""
            async for chunk in response.aiter_raw():
                body += chunk[: limit - len(body)]
                if len(body) >= limit:
                    break
            return BoundedAnswer(response.status_code, body)
    except (httpx.HTTPError, TimeoutError) as error:
        if ticket.fault is not None:
            raise ticket.fault from None
        raise RequestFailed(f"no answer ({type(error).__name__})") from None
    finally:
        proxy.withdraw(ticket)
