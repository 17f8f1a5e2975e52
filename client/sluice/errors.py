"""The errors that a command reports to its user."""


class SluiceError(Exception):
    """An error that the user can act on; the message is a sentence for them."""


class DecryptionFailed(SluiceError):
    """The file cannot be decrypted: wrong key, damaged, truncated, or in a format that is not supported."""
