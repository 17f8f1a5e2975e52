"""P2: who is warned of files that OpenSSL's own command cannot decrypt."""

import pytest

from job_api.domain.sizes import OPENSSL_MAX_BYTES, PACKED_SHARE, find_size_warning

GIB = 2**30


@pytest.mark.parametrize(
    ("split_size", "expected", "warned"),
    [
        (None, None, False),
        (None, int(OPENSSL_MAX_BYTES / PACKED_SHARE) - 1, False),
        (None, int(OPENSSL_MAX_BYTES / PACKED_SHARE) + 3, True),
        (GIB, 100 * GIB, False),
        (OPENSSL_MAX_BYTES, 100 * GIB, False),
        (OPENSSL_MAX_BYTES + 1, None, True),
    ],
)
def test_P2_a_file_above_what_openssl_decrypts_is_warned_of(
    split_size: int | None, expected: int | None, warned: bool
) -> None:
    words = find_size_warning(split_size, expected)
    assert (words is not None) == warned
    assert words is None or "sluice decrypt" in words
