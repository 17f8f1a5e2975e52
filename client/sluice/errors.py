"""The errors that a command reports to its user."""

import os


class SluiceError(Exception):
    """An error that the user can act on; the message is a sentence for them."""


class DecryptionFailed(SluiceError):
    """The file cannot be decrypted: wrong key, damaged, truncated, or in a format that is not supported."""


class KeyLocked(DecryptionFailed):
    """The private key is encrypted, and no passphrase was given."""


class NotUnpackable(DecryptionFailed):
    """The archive was decrypted, and only another program unpacks it; `reason` is the beginning of a sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; keep it with --keep-zip and unpack it with 7z x.")
        self.reason = reason


def to_sentence(error: SluiceError | OSError) -> str:
    """Return what a user is to read of an error: for one of the system, the file and the system's words."""
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
    return f"{where}{error.strerror or os.strerror(error.errno)}."
