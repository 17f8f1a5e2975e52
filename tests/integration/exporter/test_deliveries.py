"""Deliveries to real servers: SeaweedFS over TLS and OpenSSH; kills in the middle (rules D1 to D9)."""

import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import asyncssh
import pytest

from deploy.local.reaper import Reaper
from exporter.delivery.aws import AwsKeys
from shared import events
from shared.clock import SystemClock
from shared.topics import DELIVERIES, DESTINATION_TESTS
from tests.support.authority import Authority
from tests.support.deliveries import DeliverySystem, get_object_name, read_source
from tests.support.s3 import REGION, S3
from tests.support.sftp import SSHD, OpenSsh
from tests.support.sts import TokenService, run_token_service
from tests.support.system import Service, System
from tests.support.wait import eventually

MIB = 1024 * 1024


@dataclass
class Places:
    """The destinations' servers."""

    s3: S3
    ssh: OpenSsh

    def make_s3_address(self, bucket: str, **changes: object) -> events.DestinationAddress:
        plain = events.DestinationAddress(bucket=bucket, prefix="in", region=REGION, endpoint=self.s3.tls_endpoint)
        return replace(plain, **changes)  # type: ignore[arg-type]

    @property
    def s3_keys(self) -> dict[str, str]:
        return {"access_key_id": self.s3.access_key, "secret_access_key": self.s3.secret_key}

    def read_s3(self, bucket: str, name: str) -> bytes | None:
        answer = self.s3.call("GET", f"/{bucket}/in/{name}")
        return answer.content if answer.status_code == 200 else None

    def make_sftp_address(self, folder: Path, **changes: object) -> events.DestinationAddress:
        plain = events.DestinationAddress(
            host="127.0.0.1",
            port=self.ssh.port,
            path=str(folder),
            user_name=self.ssh.user_name,
            host_key=self.ssh.host_key,
        )
        return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def places(authority: Authority, reaper: Reaper, servers_folder: Path) -> Iterator[Places]:
    s3 = S3(servers_folder / f"delivered-{secrets.token_hex(4)}", reaper, tls=authority.sign("s3", "127.0.0.1"))
    ssh = OpenSsh(servers_folder / f"sshd-{secrets.token_hex(4)}", reaper)
    s3.start()
    if SSHD.exists():
        ssh.start()
    yield Places(s3, ssh)
    s3.kill()
    ssh.kill()


@pytest.fixture(scope="module")
def deliveries(system: System, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> DeliverySystem:
    return DeliverySystem(system, tmp_path_factory.mktemp("store"), authority.ca)


@pytest.fixture(scope="module")
async def deliverer(deliveries: DeliverySystem) -> Service:
    """Return a deliverer that all tests of this module may use, and that none may stop."""
    service = deliveries.start_deliverer("deliverer-1")
    await service.wait_ready()
    return service


async def test_D7_kills_and_freezes_leave_no_early_manifest_and_no_missing_or_different_object(
    deliveries: DeliverySystem, places: Places, tmp_path: Path
) -> None:
    bucket = places.s3.create_bucket()
    destinations = [deliveries.make_destination("s3", places.make_s3_address(bucket), places.s3_keys)]
    if SSHD.exists():
        login = {"private_key": places.ssh.private_key}
        destinations.append(deliveries.make_destination("sftp", places.make_sftp_address(tmp_path), login))
    contents = {f"{number}.zip.p7m": os.urandom(6 * MIB) for number in range(4)}
    run = await deliveries.make_run([each.destination_id for each in destinations], contents)
    await deliveries.admit(*destinations, run)
    # A slow line, so that they are met in the middle of their work. One is frozen, and wakes up when it is too late.
    slow = [deliveries.start_deliverer(f"slow-{number}", BANDWIDTH=str(4 * MIB)) for number in range(3)]
    done = "SELECT count(*) FROM delivered_object JOIN delivery USING (delivery_id) WHERE run_id = $1"

    async def has_advanced() -> bool:
        (row,) = await deliveries.system.fetch("exporter", done, run.run_id)
        return int(row["count"]) > 0

    await eventually(has_advanced, timeout=120)
    slow[0].process.pause(paused=True)
    slow[1].process.kill()
    slow[2].process.kill()
    assert "delivered" not in (await deliveries.read_states(run)).values()
    check_manifests(places, run, contents, bucket=bucket, folder=tmp_path)
    fast = deliveries.start_deliverer("deliverer-0")
    await eventually(lambda: deliveries.are_delivered(run, count=len(destinations)), timeout=120)
    check_manifests(places, run, contents, bucket=bucket, folder=tmp_path)
    assert places.read_s3(bucket, get_object_name(run, "manifest.json")) is not None
    assert not find_temporary(tmp_path), "what a killed process left was continued"
    slow[0].process.pause(paused=False)
    await slow[0].wait_ready()
    check_manifests(places, run, contents, bucket=bucket, folder=tmp_path)
    slow[0].process.kill()
    fast.process.stop()


def check_manifests(
    places: Places, run: events.RunSucceeded, contents: Mapping[str, bytes], *, bucket: str, folder: Path
) -> None:
    """Wherever there is a manifest, every file is there as it was exported."""
    manifest = get_object_name(run, "manifest.json")
    for name, content in contents.items():
        if places.read_s3(bucket, manifest) is not None:
            assert places.read_s3(bucket, get_object_name(run, name)) == content
        if (folder / manifest).exists():
            assert (folder / get_object_name(run, name)).read_bytes() == content


def find_temporary(folder: Path) -> list[Path]:
    return list(folder.rglob(".sluice-*"))


async def test_D5_D6_files_and_then_the_manifest_arrive_at_every_destination_and_the_events_say_so(
    deliveries: DeliverySystem, deliverer: Service, places: Places, tmp_path: Path
) -> None:
    bucket = places.s3.create_bucket()
    to_s3 = deliveries.make_destination("s3", places.make_s3_address(bucket), places.s3_keys)
    destinations = [to_s3]
    if SSHD.exists():
        credentials = {"private_key": places.ssh.private_key}
        destinations.append(deliveries.make_destination("sftp", places.make_sftp_address(tmp_path), credentials))
    contents = {"large.zip.p7m": os.urandom(20 * MIB + 1), "small.zip.p7m": b"x", "empty.zip.p7m": b""}
    run = await deliveries.make_run([each.destination_id for each in destinations], contents)
    await deliveries.system.publish(*destinations, run)
    await eventually(lambda: deliveries.are_delivered(run, count=len(destinations)), timeout=90)
    for name in (*contents, "manifest.json"):
        expected, at_destination = read_source(deliveries.store, run, name), get_object_name(run, name)
        assert places.read_s3(bucket, at_destination) == expected
        if len(destinations) == 2:
            assert (tmp_path / at_destination).read_bytes() == expected
    assert find_temporary(tmp_path) == []

    def is_complete(found: list[events.Event]) -> bool:
        return sum(isinstance(each, events.DeliveryCompleted) for each in found) == len(destinations)

    await eventually(lambda: deliveries.system.has_consumed_all("sluice.exporter.deliveries"))

    async def read_published() -> list[events.Event]:
        found = [each for each in await deliveries.system.read_events(DELIVERIES) if each.run_id == run.run_id]  # type: ignore[union-attr]
        return found if is_complete(found) else []

    published = await eventually(read_published)
    mine = [each for each in published if each.destination_id == to_s3.destination_id]  # type: ignore[union-attr]
    assert [type(each).__name__ for each in mine] == [
        *("DeliveryCreated", "DeliveryStarted"),
        *["FileDelivered"] * 4,
        "DeliveryCompleted",
    ]
    pairs = [(each.token, each.seq) for each in mine]  # type: ignore[union-attr]
    assert pairs == sorted(set(pairs)), "each event is newer than the one before"
    delivered = [each for each in mine if isinstance(each, events.FileDelivered)]
    assert [each.name for each in delivered] == [*contents, "manifest.json"]
    assert all(each.sent or each.bytes == 0 for each in delivered)


async def test_D6_nothing_is_sent_twice_and_another_content_is_a_conflict_unless_the_job_allows_it(
    deliveries: DeliverySystem, deliverer: Service, places: Places
) -> None:
    bucket = places.s3.create_bucket()
    to_s3 = deliveries.make_destination("s3", places.make_s3_address(bucket), places.s3_keys)
    await deliveries.system.publish(to_s3)
    run = await deliveries.make_run([to_s3.destination_id], {"a.zip.p7m": b"first", "b.zip.p7m": b"second"})
    delivery_id = events.derive_delivery_id(run.run_id, to_s3.destination_id)
    name = get_object_name(run, "b.zip.p7m")
    # Another file of the same name.
    other = await deliveries.make_run(
        [to_s3.destination_id],
        {"b.zip.p7m": b"other"},
        template=name.removesuffix("b.zip.p7m") + "{file}",
        overwrite=True,
    )
    await deliveries.system.publish(other)
    await eventually(lambda: deliveries.are_delivered(other))
    await deliveries.system.publish(run)

    async def has_failed() -> bool:
        return (await deliveries.read_states(run)).get(delivery_id) == "failed"

    await eventually(has_failed)
    (row,) = await deliveries.system.fetch("exporter", "SELECT * FROM delivery WHERE delivery_id = $1", delivery_id)
    assert (row["error_code"], row["attempt"]) == ("destination-conflict", 1)
    assert places.read_s3(bucket, name) == b"other"
    # The customer removes what is in the way, and tries again by hand: nothing is exported again.
    for each in ("b.zip.p7m", "manifest.json"):
        places.s3.call("DELETE", f"/{bucket}/in/{get_object_name(run, each)}")
    retry = events.RetryDelivery(
        job_id=run.job_id,
        tenant_id=run.tenant_id,
        run_id=run.run_id,
        delivery_id=delivery_id,
        requested_by=uuid4(),
        requested_at=SystemClock().now(),
    )
    await deliveries.system.publish(replace(retry, tenant_id=uuid4()), retry, retry)
    await eventually(lambda: deliveries.are_delivered(run))
    assert places.read_s3(bucket, name) == b"second"

    async def read_published() -> list[events.Event]:
        # The outbox is published after the transaction that the table shows.
        found = [each for each in await deliveries.system.read_events(DELIVERIES) if each.run_id == run.run_id]  # type: ignore[union-attr]
        return found if any(isinstance(each, events.DeliveryCompleted) for each in found) else []

    published = await eventually(read_published)
    sent = [each.name for each in published if isinstance(each, events.FileDelivered) and each.sent]
    assert sent.count("a.zip.p7m") == 1
    assert sum(isinstance(each, events.DeliveryRetried) for each in published) == 1


async def test_D1_D3_a_test_names_the_step_that_failed_and_the_first_one_shows_the_host_key(
    deliveries: DeliverySystem, deliverer: Service, places: Places, tmp_path: Path
) -> None:
    bucket = places.s3.create_bucket()
    keys, reader = places.s3_keys, {"access_key_id": places.s3.reader_key, "secret_access_key": places.s3.reader_secret}
    wrong = {**keys, "secret_access_key": "x" * 40}
    good = places.make_s3_address(bucket)
    cases: dict[str, tuple[events.DestinationSaved, str, str]] = {}

    def expect(name: str, saved: events.DestinationSaved, step: str, code: str) -> None:
        cases[name] = (saved, step, code)

    make = deliveries.make_destination
    expect("good", make("s3", good, keys), "", "")
    expect("read only", make("s3", good, reader), "write", "destination-access-refused")
    expect("wrong secret", make("s3", good, wrong), "authenticate", "destination-access-refused")
    expect("no bucket", make("s3", replace(good, bucket="missing-bucket"), keys), "write", "destination-missing")
    expect(
        "metadata",
        make("s3", replace(good, endpoint="https://169.254.169.254"), keys),
        "resolve",
        "destination-address-refused",
    )
    expect(
        "private",
        make("s3", replace(good, endpoint="https://10.0.0.1"), keys),
        "resolve",
        "destination-address-refused",
    )
    expect("http", make("s3", replace(good, endpoint="http://127.0.0.1"), keys), "resolve", "destination-configuration")
    expect(
        "closed", make("s3", replace(good, endpoint="https://127.0.0.1:1"), keys), "connect", "destination-unavailable"
    )
    expect("prefix", make("s3", replace(good, prefix="../x"), keys), "authenticate", "destination-configuration")
    expect("role", make("s3", replace(good, role_arn="arn:x"), {}), "authenticate", "destination-configuration")
    moved = replace(make("s3", good, keys), destination_id=uuid4())
    expect("sealed for another", moved, "authenticate", "credentials-unreadable")
    if SSHD.exists():
        login = {"private_key": places.ssh.private_key}
        address = places.make_sftp_address(tmp_path)
        stranger = asyncssh.generate_private_key("ssh-ed25519")
        expect("sftp", make("sftp", address, login), "", "")
        expect("first", make("sftp", replace(address, host_key=None), login), "host-key", "destination-host-key")
        theirs = " ".join(stranger.export_public_key("openssh").decode().split()[:2])
        expect(
            "other key", make("sftp", replace(address, host_key=theirs), login), "authenticate", "destination-host-key"
        )
        refused = {"private_key": stranger.export_private_key("openssh").decode()}
        expect("login", make("sftp", address, refused), "authenticate", "destination-login-refused")
    tests = {name: uuid4() for name in cases}
    requests = [
        events.RunDestinationTest(
            destination_id=saved.destination_id,
            tenant_id=saved.tenant_id,
            test_id=tests[name],
            version=1,
            requested_by=None,
            requested_at=SystemClock().now(),
        )
        for name, (saved, _, _) in cases.items()
    ]
    await deliveries.system.publish(*(saved for saved, _, _ in cases.values()), *requests)
    ended = "SELECT true FROM destination_test WHERE ended_at IS NOT NULL"

    async def have_ended() -> bool:
        return len(await deliveries.system.fetch("exporter", ended)) == len(cases)

    await eventually(have_ended, timeout=180)

    async def read_results() -> dict[str, events.DestinationTested]:
        found = await deliveries.system.read_events(DESTINATION_TESTS)
        results = {each.test_id: each for each in found if isinstance(each, events.DestinationTested)}
        return {name: results[test_id] for name, test_id in tests.items() if test_id in results}

    async def have_arrived() -> dict[str, events.DestinationTested] | None:
        results = await read_results()
        return results if len(results) == len(cases) else None

    results = await eventually(have_arrived)
    assert results is not None
    found = {
        name: next(((step.name, step.code) for step in each.steps if step.state == "failed"), ("", ""))
        for name, each in results.items()
    }
    assert found == {name: (step, code) for name, (_, step, code) in cases.items()}
    assert {name for name, each in results.items() if each.passed} == {
        name for name, case in cases.items() if not case[1]
    }
    if SSHD.exists():
        assert results["first"].host_key == places.ssh.host_key
        assert results["first"].fingerprint == places.ssh.server_key.get_fingerprint()
        assert find_temporary(tmp_path) == [], "the test removes what it wrote"
    texts = " ".join(step.message or "" for each in results.values() for step in each.steps)
    assert not any(secret in texts for secret in (places.s3.secret_key, places.s3.access_key, "x" * 40))


async def test_D1_files_arrive_with_the_keys_of_an_assumed_role(
    deliveries: DeliverySystem, places: Places, authority: Authority
) -> None:
    bucket, own = places.s3.create_bucket(), AwsKeys("AKIDOWN", "own secret")
    issued = AwsKeys(places.s3.access_key, places.s3.secret_key)
    # Keys that expire at once are asked for again and again.
    service = TokenService(own, "arn:aws:iam::1:role/x", "sluice-7", issued, lifetime=timedelta(0), region=REGION)
    address = places.make_s3_address(bucket, role_arn=service.role_arn, external_id=service.external_id)
    by_role = deliveries.make_destination("s3", address, {})
    run = await deliveries.make_run([by_role.destination_id], {"a.zip.p7m": b"first", "b.zip.p7m": b"second"})
    await deliveries.admit(by_role, run)
    with run_token_service(service, authority.sign("sts", "127.0.0.1")):
        settings = {"AWS_ACCESS_KEY_ID": own.access_key_id, "AWS_SECRET_ACCESS_KEY": own.secret_access_key}
        assumer = deliveries.start_deliverer("assumer", STS_ENDPOINT=service.url, **settings)
        await eventually(lambda: deliveries.are_delivered(run), timeout=90)
        assumer.process.stop()
    assert places.read_s3(bucket, get_object_name(run, "b.zip.p7m")) == b"second"
    assert len(service.requests) > 1, "keys are renewed before they expire"


async def test_D8_a_dead_destination_delays_no_other_and_cancelling_ends_its_deliveries(
    deliveries: DeliverySystem, deliverer: Service, places: Places
) -> None:
    bucket = places.s3.create_bucket()
    good = deliveries.make_destination("s3", places.make_s3_address(bucket), places.s3_keys)
    dead = deliveries.make_destination(
        "s3", places.make_s3_address(bucket, endpoint="https://127.0.0.1:1"), places.s3_keys
    )
    unknown = uuid4()
    contents = {"a.zip.p7m": b"content"}
    runs = [await deliveries.make_run([dead.destination_id, good.destination_id, unknown], contents) for _ in range(10)]
    await deliveries.system.publish(good, dead, *runs)
    alive = {events.derive_delivery_id(run.run_id, good.destination_id) for run in runs}

    async def have_arrived() -> bool:
        states = await deliveries.read_states(*runs)
        return len(states) == 30 and all(states[each] == "delivered" for each in alive)

    await eventually(have_arrived, timeout=120)
    states = await deliveries.read_states(*runs)
    assert {state for each, state in states.items() if each not in alive} <= {"pending", "delivering"}
    deleted = events.DestinationDeleted(
        destination_id=dead.destination_id, tenant_id=dead.tenant_id, version=2, deleted_at=SystemClock().now()
    )
    await deliveries.system.publish(replace(deleted, tenant_id=dead.tenant_id))

    async def are_cancelled() -> bool:
        states = await deliveries.read_states(*runs)
        return all(states[events.derive_delivery_id(run.run_id, dead.destination_id)] == "cancelled" for run in runs)

    await eventually(are_cancelled)
    (row,) = await deliveries.system.fetch(
        "exporter", "SELECT * FROM destination WHERE destination_id = $1", dead.destination_id
    )
    assert (row["state"], row["address"], row["credentials"]) == ("deleted", None, None)
