"""What can go wrong between services; each error says whether trying again helps."""


class SluiceError(Exception):
    """Any error of our own."""


class TransientError(SluiceError):
    """Trying again later may help: something that we need is away."""


class InvalidMessage(SluiceError):
    """A message cannot be read: its type, version or content is not what we know."""


class MessageRejected(SluiceError):
    """A message was read but can never be handled; it belongs with the dead letters."""


class TooManyDeadLetters(SluiceError):
    """So many messages were refused that the fault is likelier ours: the consumer stops, its offset unmoved."""


class InvalidSettings(SluiceError):
    """The configuration has unknown or bad values; the message names each variable."""
