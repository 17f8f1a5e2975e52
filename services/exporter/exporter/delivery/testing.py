"""Tests of destinations: write, read back and delete a small object, and report each step (rule D3)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256

from exporter.delivery.cloud import to_connection_error
from exporter.delivery.opening import TargetOpener
from exporter.delivery.sftp import fetch_host_key, format_host_key
from exporter.delivery.target import Target, Upload
from exporter.errors import DeliveryError
from exporter.store.destinations import DestinationStore, RequestedTest, SealedDestination
from shared.clock import Clock
from shared.errors import TransientError
from shared.events import DestinationTested
from shared.events.values import DestinationTestStep, DestinationTestStepName
from shared.lifecycle import wait_for_first
from shared.net.addresses import AddressRefused
from shared.net.egress import HostUnknown, HostUnreachable
from shared.observe import DESTINATION_TESTS, get_logger

log = get_logger(__name__)
_CONTENT = b"Sluice tests this destination. This object can be deleted.\n"
_SECONDS = 90.0
_PAUSE_SECONDS, _PURGE_SECONDS = 2.0, 3600.0
_CLOUD_STEPS: tuple[DestinationTestStepName, ...] = ("resolve", "connect", "authenticate", "write", "read", "delete")
_SFTP_STEPS: tuple[DestinationTestStepName, ...] = (
    *("resolve", "connect", "host-key"),
    *("authenticate", "write", "read", "delete"),
)


@dataclass
class _Probe:
    """One test under way: what its steps found out."""

    destination: SealedDestination
    opener: TargetOpener
    upload: Upload
    host_key: str | None = None
    fingerprint: str | None = None
    target: Target | None = None
    steps: list[DestinationTestStep] = field(default_factory=list)

    async def resolve(self) -> None:
        host, port = self.opener.list_hosts(self.destination)[0]
        await self.opener.egress.find_addresses(host, port)

    async def connect(self) -> None:
        host, port = self.opener.list_hosts(self.destination)[0]
        (await self.opener.egress.connect(host, port)).close()

    async def check_host_key(self) -> None:
        host, port = self.opener.list_hosts(self.destination)[0]
        key = await fetch_host_key(host, port, self.opener.egress)
        self.host_key, self.fingerprint = format_host_key(key)
        confirmed = self.destination.address.host_key
        if confirmed is None:
            raise DeliveryError(
                "destination-host-key",
                f"The server's key has the fingerprint {self.fingerprint}. Compare it with the one that the server's "
                "operator gave you, confirm it, and test again.",
            )

    async def authenticate(self) -> None:
        self.target = await self.opener.open(self.destination)
        await self.target.find(self.upload.name)

    async def write(self) -> None:
        assert self.target is not None
        await self.target.write(self.upload, overwrite=True, token=0)

    async def read(self) -> None:
        assert self.target is not None
        content = b"".join([chunk async for chunk in self.target.read(self.upload.name)])
        if content != _CONTENT:
            raise DeliveryError("destination-content", "What was read back differs from what was written.")

    async def delete(self) -> None:
        assert self.target is not None
        await self.target.delete(self.upload.name)

    async def run(self) -> None:
        """Carry out the steps until one fails, and note how each ended."""
        actions: dict[DestinationTestStepName, Callable[[], Awaitable[None]]] = {
            "resolve": self.resolve,
            "connect": self.connect,
            "host-key": self.check_host_key,
            "authenticate": self.authenticate,
            "write": self.write,
            "read": self.read,
            "delete": self.delete,
        }
        names = _SFTP_STEPS if self.destination.kind == "sftp" else _CLOUD_STEPS
        for name in names:
            error = await _find_error(actions[name])
            if error is not None:
                failed = DestinationTestStep(name=name, state="failed", code=error.code, message=str(error))
                rest = names[names.index(name) + 1 :]
                self.steps += [failed, *(DestinationTestStep(name=each, state="skipped") for each in rest)]
                return
            self.steps.append(DestinationTestStep(name=name, state="passed"))


class DestinationTester:
    """Carries out requested tests, one after another; all deliverers share them."""

    def __init__(self, store: DestinationStore, opener: TargetOpener, *, clock: Clock) -> None:
        self._store = store
        self._opener = opener
        self._clock = clock
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Check for requested tests."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Carry out tests until `stopping` is set."""
        purge_in = 0.0
        while not stopping.is_set():
            self._woken.clear()
            try:
                if purge_in <= 0:
                    await self._store.purge_tests()
                    purge_in = _PURGE_SECONDS
                while not stopping.is_set() and (requested := await self._store.claim_test()) is not None:
                    await self._store.end_test(await self.test(requested))
            except TransientError as error:
                log.warning("cannot check for tests of destinations, retrying", error=str(error))
            purge_in -= _PAUSE_SECONDS
            await wait_for_first(self._woken, stopping, seconds=_PAUSE_SECONDS)

    async def test(self, requested: RequestedTest) -> DestinationTested:
        """Carry out a test and return its result. Raises PostgresUnavailable."""
        destination = await self._store.find(requested.destination_id, requested.tenant_id)
        if destination is None:
            message = "The destination is unknown or deleted."
            step = DestinationTestStep(
                name="resolve", state="failed", code="destination-configuration", message=message
            )
            return self._conclude(requested, requested.version, [step])
        upload = Upload(f".sluice-test-{requested.test_id}", len(_CONTENT), sha256(_CONTENT).hexdigest(), _read_content)
        probe = _Probe(destination, self._opener, upload)
        try:
            async with asyncio.timeout(_SECONDS):
                await probe.run()
        except TimeoutError:
            message = f"The test was not complete after {_SECONDS:g} seconds."
            name = (_SFTP_STEPS if destination.kind == "sftp" else _CLOUD_STEPS)[len(probe.steps)]
            probe.steps.append(
                DestinationTestStep(name=name, state="failed", code="destination-unavailable", message=message)
            )
        finally:
            if probe.target is not None:
                await probe.target.close()
        return self._conclude(
            requested, destination.version, probe.steps, host_key=probe.host_key, fingerprint=probe.fingerprint
        )

    def _conclude(
        self,
        requested: RequestedTest,
        version: int,
        steps: list[DestinationTestStep],
        *,
        host_key: str | None = None,
        fingerprint: str | None = None,
    ) -> DestinationTested:
        passed = all(step.state == "passed" for step in steps)
        DESTINATION_TESTS.labels("passed" if passed else "failed").inc()
        return DestinationTested(
            destination_id=requested.destination_id,
            tenant_id=requested.tenant_id,
            test_id=requested.test_id,
            version=version,
            passed=passed,
            steps=tuple(steps),
            host_key=host_key,
            fingerprint=fingerprint,
            at=self._clock.now(),
        )


async def _find_error(action: Callable[[], Awaitable[None]]) -> DeliveryError | None:
    """Carry out a step and return why it failed, or None."""
    try:
        await action()
    except DeliveryError as error:
        return error
    except (AddressRefused, HostUnknown, HostUnreachable) as fault:
        return to_connection_error(fault)
    except TransientError:
        raise
    except Exception as error:
        log.warning("test of a destination failed unexpectedly", error=type(error).__name__, exc_info=error)
        return DeliveryError("internal", f"An unexpected error occurred in the deliverer ({type(error).__name__}).")
    return None


async def _read_content(offset: int) -> AsyncIterator[bytes]:
    yield _CONTENT[offset:]
