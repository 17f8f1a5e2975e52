"""The size from which a recipient's tools cannot open a file (rule P2)."""

OPENSSL_MAX_BYTES = int(1.4 * 2**30)
"""OpenSSL's command reads the whole file into memory and fails somewhat above this size."""
PACKED_SHARE = 1 / 3
"""The approximate size of packed records relative to unpacked ones; attachments hardly shrink."""

_HINT = "OpenSSL's own command cannot decrypt such a file; 'sluice decrypt' can."


def find_size_warning(split_size: int | None, expected: int | None) -> str | None:
    """Return a warning for files that may be too large for OpenSSL's command, or None.

    `split_size` is the job's file split size and `expected` the estimated size of the export, both in bytes of
    uncompressed records; None means no split, or an unknown size.
    """
    if split_size is not None and split_size > OPENSSL_MAX_BYTES:
        return (
            "Files of this size may exceed 1.4 GiB if their content hardly compresses, as with attachments. "
            f"{_HINT} Choose 1 GiB or less to be safe."
        )
    if split_size is None and expected is not None and expected * PACKED_SHARE > OPENSSL_MAX_BYTES:
        return (
            f"The single file is expected to be about {expected * PACKED_SHARE / 2**30:.1f} GiB, which exceeds "
            f"1.4 GiB. {_HINT} A numbered set of 1 GiB files opens everywhere."
        )
    return None
