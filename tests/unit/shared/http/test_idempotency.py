"""I3: requests under an Idempotency-Key, over a table in memory."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest
from starlette.requests import Request

from shared.http.idempotency import IdempotencyStore, IdempotentRequest, RenderedResponse, parse_idempotent_request
from shared.http.problems import Problem, ProblemType
from shared.postgres import Connection
from tests.unit.shared.http.clients import CALLER

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


class Table:
    """The table `idempotency` as the store's statements use it."""

    def __init__(self) -> None:
        self.rows: dict[tuple[object, ...], dict[str, Any]] = {}

    async def fetchval(self, _: str, *values: Any) -> str | None:
        *place, fingerprint, at = values
        if tuple(place) in self.rows:
            return None
        self.rows[tuple(place)] = {"fingerprint": fingerprint, "answer": None, "written_at": at}
        return str(place[-1])

    async def fetchrow(self, _: str, *place: Any) -> dict[str, Any] | None:
        return self.rows.get(place)

    async def execute(self, _: str, *values: Any) -> None:
        *place, answer = values
        self.rows[tuple(place)]["answer"] = answer


async def request(
    key: str | None = "k", *, method: str = "POST", path: str = "/api/v1/jobs", body: bytes = b"{}", token: str = "t"
) -> IdempotentRequest:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    headers = [(b"authorization", f"Bearer {token}".encode()), (b"host", b"sluice.test")]
    scope = {"type": "http", "method": method, "path": path, "headers": headers, "query_string": b""}
    return await parse_idempotent_request(Request(scope, receive), key)


class Creation:
    """Something that may be done once."""

    def __init__(self, **secrets: str) -> None:
        self.times = 0
        self.secrets = secrets

    async def __call__(self) -> RenderedResponse:
        self.times += 1
        return RenderedResponse({"id": self.times}, headers={"Location": f"/{self.times}"}, secrets=self.secrets)


def store_of(table: Table) -> IdempotencyStore:
    return IdempotencyStore(cast("Connection", table), CALLER)


async def test_I3_the_same_request_acts_once_and_gets_the_same_response() -> None:
    store, create = store_of(Table()), Creation()
    first, second = [await store.respond_once(await request(), NOW, create) for _ in range(2)]
    assert create.times == 1
    assert (first.status_code, first.body, first.headers["location"]) == (201, b'{"id":1}', "/1")
    assert (second.status_code, second.body, second.headers["location"]) == (201, b'{"id":1}', "/1")


async def test_I3_without_a_key_each_request_acts() -> None:
    store, create = store_of(table := Table()), Creation()
    for _ in range(2):
        await store.respond_once(await request(None), NOW, create)
    assert create.times == 2
    assert table.rows == {}


@pytest.mark.parametrize("other", [{"body": b"[]"}, {"path": "/api/v1/jobs/x/clone"}, {"method": "PUT"}])
async def test_I3_a_key_is_bound_to_method_path_and_body(other: dict[str, Any]) -> None:
    store, create = store_of(Table()), Creation()
    await store.respond_once(await request(), NOW, create)
    with pytest.raises(Problem) as caught:
        await store.respond_once(await request(**other), NOW, create)
    assert caught.value.type is ProblemType.IDEMPOTENCY_CONFLICT
    assert create.times == 1


async def test_U4_a_secret_is_in_the_first_response_and_never_stored() -> None:
    store, create = store_of(table := Table()), Creation(token="slc_secret")
    first, second = [await store.respond_once(await request(), NOW, create) for _ in range(2)]
    assert first.body == b'{"id":1,"token":"slc_secret"}'
    assert second.body == b'{"id":1,"token":null}'
    assert "slc_secret" not in str(table.rows)


async def test_I3_a_derived_secret_is_repeated_and_never_stored() -> None:
    store, create = store_of(table := Table()), Creation()
    responses = []
    for _ in range(2):
        again = await request()
        secret = again.derive_secret()
        responses.append(await store.respond_once(again, NOW, create, derived={"path": f"/links/{secret}"}))
    assert responses[0].body == responses[1].body
    assert len(secret) >= 43
    assert secret in bytes(responses[0].body).decode()
    assert secret not in str(table.rows)
    assert create.times == 1


async def test_I3_another_token_of_the_same_user_derives_another_secret_and_gets_409() -> None:
    store, create = store_of(Table()), Creation()
    for token, conflicts in (("t", False), ("u", True)):
        own = await request(token=token)
        derived = {"path": own.derive_secret()}
        if conflicts:
            with pytest.raises(Problem):
                await store.respond_once(own, NOW, create, derived=derived)
        else:
            await store.respond_once(own, NOW, create, derived=derived)
    assert (await request(path="/other")).derive_secret() != (await request()).derive_secret()
    assert (await request(None)).derive_secret() != (await request(None)).derive_secret()
    assert "Bearer" not in repr(own)
    assert "credential" not in repr(own)
