"""The store's configuration: every cloud by URL and options; invalid ones are rejected with the reason."""

import json
from datetime import timedelta

import obstore
import pytest
from cryptography.hazmat.primitives import serialization
from obstore import exceptions
from obstore.store import AzureStore, GCSStore, S3Store

from exporter.errors import ObjectStoreRefused, ObjectStoreUnavailable
from exporter.package.objects import open_store
from shared.errors import InvalidSettings
from shared.objectstore import open_backend, to_store_fault
from tests.unit.stream.officers import officer

S3_KEYS = {"access_key_id": "key", "secret_access_key": "very secret", "region": "eu-central-1"}


def test_P6_s3_reads_keys_region_and_endpoint_from_options() -> None:
    backend = open_backend("s3://bucket/some/prefix", S3_KEYS | {"endpoint": "http://10.0.0.1:9000", "timeout": "9 s"})
    assert isinstance(backend, S3Store)
    assert backend.prefix == "some/prefix"
    assert backend.config == S3_KEYS | {"bucket": "bucket", "endpoint": "http://10.0.0.1:9000"}
    assert backend.client_options is not None
    assert backend.client_options["timeout"] == "9 s"
    address = obstore.sign(backend, "GET", "runs/1/file", timedelta(minutes=5))
    assert address.startswith("http://10.0.0.1:9000/bucket/some/prefix/runs/1/file?")
    assert "X-Amz-Expires=300" in address


def test_P6_azure_reads_account_and_key_from_options() -> None:
    backend = open_backend("az://container/prefix", {"account_name": "ours", "account_key": "c2VjcmV0"})
    assert isinstance(backend, AzureStore)
    address = obstore.sign(backend, "GET", "file", timedelta(minutes=5))
    assert address.startswith("https://ours.blob.core.windows.net/container/prefix/file?")


def test_P6_google_reads_a_service_account_from_options() -> None:
    pem = officer().key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "client_email": "us@example.org",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "gcs_base_url": "https://storage.googleapis.com",
        "disable_oauth": False,
    }
    backend = open_backend("gs://bucket/prefix", {"service_account_key": json.dumps(account)})
    assert isinstance(backend, GCSStore)
    address = obstore.sign(backend, "GET", "file", timedelta(minutes=5))
    assert address.startswith("https://storage.googleapis.com/bucket/prefix/file?")


WRONG = {
    "unknown option": ("s3://bucket", S3_KEYS | {"acces_key": "very secret"}, "no option acces_key"),
    "option of another cloud": ("gs://bucket", {"account_key": "very secret"}, "no option account_key"),
    "not a flag": ("s3://bucket", S3_KEYS | {"allow_http": "very secret"}, "allow_http must be true or false"),
    "not a duration": ("s3://bucket", S3_KEYS | {"timeout": "very secret"}, "not understood"),
    "not an endpoint": ("az://container", {"account_key": "very secret"}, "not understood"),
    "bad key": ("gs://bucket", {"service_account_key": "very secret"}, "not understood"),
    "no scheme": ("bucket/very secret", {}, "no scheme"),
    "unknown scheme": ("ftp://me:very secret@host/x", {}, "not understood"),
    "no bucket": ("s3://", S3_KEYS, "not understood"),
    "host": ("file://very secret/folder", {}, "file:///absolute/folder"),
}


@pytest.mark.parametrize("case", WRONG)
def test_P6_invalid_options_are_rejected_without_repeating_them(case: str) -> None:
    url, options, message = WRONG[case]
    with pytest.raises(InvalidSettings, match=message) as refused:
        open_backend(url, options)
    assert "very secret" not in str(refused.value)
    with pytest.raises(ObjectStoreRefused, match=message):
        open_store(url, options)


async def test_R5_a_store_that_does_not_answer_is_a_transient_error(unused_tcp_port: int) -> None:
    options = S3_KEYS | {"endpoint": f"http://127.0.0.1:{unused_tcp_port}", "allow_http": "true"}
    store = open_store("s3://bucket/prefix", options, patience=timedelta(seconds=1))
    with pytest.raises(ObjectStoreUnavailable, match="it cannot be reached") as failed:
        await store.put("runs/1/file", b"x")
    assert failed.value.transient
    assert "very secret" not in str(failed.value)


def make_answer(status: int, code: str = "") -> exceptions.GenericError:
    body = f": <Error><Code>{code}</Code><Message>private</Message></Error>" if code else ""
    return exceptions.GenericError(f"Generic S3 error: Server returned non-2xx status code: {status} Said{body}")


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (make_answer(403, "SignatureDoesNotMatch"), "refused", "the secret key is wrong (SignatureDoesNotMatch)"),
        (make_answer(403), "refused", "HTTP 403"),
        (make_answer(400, "EntityTooLarge"), "refused", "HTTP 400, EntityTooLarge"),
        (make_answer(404, "NoSuchBucket"), "refused", "the bucket does not exist (NoSuchBucket)"),
        (FileNotFoundError("... 404 ... <Code>NoSuchBucket</Code>"), "refused", "bucket does not exist"),
        (FileNotFoundError("no such file"), "missing", ""),
        (FileNotFoundError("... 404 ... <Code>NoSuchUpload</Code>"), "unavailable", ""),
        (make_answer(400, "RequestTimeout"), "unavailable", "HTTP 400, RequestTimeout"),
        (make_answer(429), "unavailable", "HTTP 429"),
        (make_answer(503, "SlowDown"), "unavailable", "HTTP 503, SlowDown"),
        (make_answer(507), "unavailable", "the store is full"),
        (exceptions.GenericError("Unable to copy: No space left on device (os error 28)"), "unavailable", "is full"),
        (exceptions.GenericError("Unable to open: Permission denied (os error 13)"), "refused", "lacks permission"),
        (exceptions.GenericError("PUT http://169.254.169.254/latest/api/token: timed out"), "unavailable", "no cred"),
        (exceptions.GenericError("private text"), "unavailable", "GenericError"),
        (TimeoutError(), "unavailable", "TimeoutError"),
    ],
)
def test_R5_a_fault_is_described_and_classified(error: Exception, kind: str, message: str) -> None:
    fault = to_store_fault(error)
    assert fault.kind == kind
    assert message in fault.message
    assert "private" not in fault.message
