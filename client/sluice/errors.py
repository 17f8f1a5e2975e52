"""What the command tells a person when it cannot go on."""


class SluiceError(Exception):
    """Something a person can act on; the message is one sentence for them."""


class DecryptionFailed(SluiceError):
    """The file cannot be opened: wrong key, damaged, cut short, or not what this program reads."""
