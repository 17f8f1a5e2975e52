"""The size from which a recipient's tools cannot open a file (rule P2)."""

OPENSSL_MAX_BYTES = int(1.4 * 2**30)
"""OpenSSL's command reads the whole file into memory and fails somewhat above this size."""
PACKED_SHARE = 1 / 3
"""The approximate size of packed records relative to unpacked ones."""
PACKED_ATTACHMENT_SHARE = 0.76
"""The same of attachments, which hardly shrink but for their base64."""

_HINT = "OpenSSL's own command cannot decrypt such a file; 'sluice decrypt' can."


def find_size_warning(split_size: int | None, expected: int | None, *, attachments: int = 0) -> str | None:
    """Return a warning for files that may be too large for OpenSSL's command, or None.

    `split_size` is the job's file split size, `expected` the estimated size of the export, and `attachments` that of
    the attachments in it, which are a file of their own; all in bytes before compression. None means no split, or an
    unknown size.
    """
    if split_size is not None and split_size > OPENSSL_MAX_BYTES:
        return (
            "Files of this size may exceed 1.4 GiB if their content hardly compresses, as with attachments. "
            f"{_HINT} Choose 1 GiB or less to be safe."
        )
    packed = max(((expected or 0) - attachments) * PACKED_SHARE, attachments * PACKED_ATTACHMENT_SHARE)
    if split_size is None and packed > OPENSSL_MAX_BYTES:
        return (
            f"The single file is expected to be about {packed / 2**30:.1f} GiB, which exceeds 1.4 GiB. {_HINT} "
            "A numbered set of 1 GiB files opens everywhere."
        )
    return None
