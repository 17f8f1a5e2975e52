"""What can go wrong in history."""

from shared.errors import SluiceError, TransientError


class EstimatesStalled(SluiceError):
    """Messages wait and none is handled; a fresh process is the cure."""


class ObjectMissing(SluiceError):
    """The store does not have the object."""


class StoreUnavailable(TransientError):
    """The store is away, or failed at this attempt."""


class PlaceNotUnderstood(SluiceError):
    """A cursor holds a value that the list cannot be compared with."""
