"""Errors that several services share; the class says whether a retry can help."""


class SluiceError(Exception):
    """The base class of Sluice's own errors."""


class TransientError(SluiceError):
    """A retry can help: a dependency is unavailable."""


class InvalidMessage(SluiceError):
    """A message cannot be decoded: its type is unknown, or its content does not match its schema."""


class MessageRejected(SluiceError):
    """A message was decoded but can never be handled; it becomes a dead letter."""


class UnknownVersion(InvalidMessage):
    """A message has a later version of a known event: this consumer waits to be upgraded, with its offset unmoved."""


class ConsumerPaused(SluiceError):
    """So many messages were rejected that the consumer is probably at fault: it waits, with its offset unmoved."""


class RestartRequired(SluiceError):
    """Only a new process can go on; this one ends, and its supervisor starts another."""


class InvalidSettings(SluiceError):
    """The configuration has unknown or invalid values; the message names each variable."""
