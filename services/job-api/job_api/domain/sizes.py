"""How large a file may become before a recipient's tools give up (P2)."""

OPENSSL_MOST = int(1.4 * 2**30)
"""OpenSSL's own command reads a whole file into memory and fails somewhat above this many bytes."""
SHRINKS_TO = 1 / 3
"""What packing leaves of records, about; attachments hardly shrink."""


def size_warning(split_size: int | None, expected: int | None) -> str | None:
    """Return what to be warned of: `split_size` and the bytes that are `expected` are of uncompressed records."""
    if split_size is not None and split_size > OPENSSL_MOST:
        return (
            "Files of this size may pass 1.4 GiB where their content hardly shrinks, as attachments do. "
            f"{_WHO_OPENS} Take 1 GiB or less to be safe."
        )
    if split_size is None and expected is not None and expected * SHRINKS_TO > OPENSSL_MOST:
        return (
            f"The single file is expected to be about {expected * SHRINKS_TO / 2**30:.1f} GiB, which is above 1.4 GiB. "
            f"{_WHO_OPENS} A numbered set of files of 1 GiB opens everywhere."
        )
    return None


_WHO_OPENS = "OpenSSL's own command cannot decrypt such a file; 'sluice decrypt' can."
