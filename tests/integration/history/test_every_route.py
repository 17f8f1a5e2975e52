"""U1 to U3 at every door: each operation of the OpenAPI document with no token, with each role, with foreign ids."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from shared.events.values import Role
from tests.integration.history.conftest import History
from tests.integration.history.test_files import files_of, finished
from tests.integration.history.test_history import shown, story_of

READERS = {"operator", "downloader", "viewer"}
OPERATIONS = {
    "listRuns": READERS,
    "countRuns": READERS,
    "listScores": READERS,
    "getRun": READERS,
    "cancelRun": {"operator"},
    "removeRun": {"operator"},
    "getManifest": READERS,
    "listArtifacts": READERS,
    "countArtifacts": READERS,
    "getArtifact": READERS,
    "downloadArtifact": {"operator", "downloader"},
    "downloadArchive": {"operator", "downloader"},
    "makeLink": {"operator", "downloader"},
    "deleteArtifacts": {"operator"},
    "followLink": READERS,
    "followRuns": READERS,
    "getRetention": set[str](),
    "setRetention": set[str](),
    "listHistoryAudit": set[str](),
}
"""Who may do what beside admins, who may all; another operation in the document fails the tests until it is here."""
OPEN = {"followLink"}
"""The link itself is the permission."""
ROLES: tuple[Role, ...] = ("admin", "operator", "downloader", "viewer")


@dataclass(frozen=True)
class Door:
    """An operation, and how to ask for it."""

    method: str
    path: str
    name: str
    parameters: tuple[str, ...]

    async def ask(self, client: httpx.AsyncClient, ids: dict[str, str]) -> httpx.Response:
        """Ask; of a stream that has no end only the beginning is read."""
        query: dict[str, str] = {name: ids[place] for name, place in (("id", "artifact_id"), ("job", "job_id"))}
        query = {name: value for name, value in query.items() if name in self.parameters}
        body = {"days": 30} if self.name == "setRetention" else None
        async with client.stream(self.method, self.path.format(**ids), params=query, json=body) as answer:
            if self.name != "followRuns" or answer.status_code != httpx.codes.OK:
                await answer.aread()
            return answer


async def doors(history: History) -> list[Door]:
    async with httpx.AsyncClient(base_url=history.api.url) as client:
        document = (await client.get("/api/v1/openapi.json")).json()
    return list(_doors(document))


def _doors(document: dict[str, Any]) -> Iterator[Door]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names = tuple(each["name"] for each in operation.get("parameters", []))
            yield Door(method.upper(), path, operation["operationId"], names)


def unknown() -> dict[str, str]:
    names = ("run_id", "artifact_id", "job_id", "secret")
    return {name: str(uuid4()) for name in names}


async def own(history: History, operator: httpx.AsyncClient, name: str) -> dict[str, str]:
    """Make what an operation's path names, in the state that it is for, and return its ids."""
    if name == "cancelRun":
        story = story_of(history).triggered().queued().started()
        await history.system.publish(*story.everything)
        await shown(operator, story, "running")
        return unknown() | {"run_id": str(story.run_id), "job_id": str(story.job_id)}
    story = await finished(history, operator)
    (history.store / "runs" / str(story.run_id) / str(story.token) / "manifest.json").write_text("{}")
    [file] = await files_of(operator, story)
    found = {"run_id": str(story.run_id), "job_id": str(story.job_id), "artifact_id": str(file["id"])}
    return unknown() | found


async def test_U2_every_operation_is_in_the_table_of_roles(history: History) -> None:
    assert {door.name for door in await doors(history)} == set(OPERATIONS)


async def test_U1_without_a_token_nothing_answers(history: History) -> None:
    async with httpx.AsyncClient(base_url=history.api.url) as stranger:
        for door in await doors(history):
            answer = await door.ask(stranger, unknown())
            assert answer.status_code == (404 if door.name in OPEN else 401), door
            assert answer.headers["content-type"] == "application/problem+json", door


async def test_U3_anothers_id_and_an_unknown_one_get_the_same_404_at_every_door(
    history: History, operator: httpx.AsyncClient
) -> None:
    foreign = await history.client("admin", tenant_id=uuid4())
    tried = 0
    for door in await doors(history):
        named = {"run_id", "artifact_id", "id"} & set(door.parameters)
        if not named:
            continue
        theirs = await own(history, operator, door.name)
        answers = [await door.ask(foreign, ids) for ids in (theirs, unknown())]
        assert [answer.status_code for answer in answers] == [404, 404], door
        first, second = (answer.json() | {"instance": ""} for answer in answers)
        assert first == second, door
        assert set(answers[0].headers) == set(answers[1].headers), door
        mine = await door.ask(await history.client("admin"), theirs)
        assert mine.is_success, (door, mine.status_code)
        tried += 1
    assert tried >= 9


@pytest.mark.parametrize("role", ROLES)
async def test_U2_each_role_may_what_the_table_says_and_no_more(
    history: History, operator: httpx.AsyncClient, role: Role
) -> None:
    client = await history.client(role)
    ids = await own(history, operator, "getRun")
    for door in await doors(history):
        if door.name in OPEN:
            continue
        answer = await door.ask(client, ids)
        if role == "admin" or role in OPERATIONS[door.name]:
            # What was made for all operations together is ended, or deleted, for some.
            assert answer.status_code in {200, 201, 202, 204, 404, 409, 410}, (door, answer.status_code)
        else:
            assert answer.status_code == 403, door
            assert answer.json()["type"].endswith("/access-denied"), door
