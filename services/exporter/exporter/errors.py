"""The exporter's own errors, beside those of the stream in export_errors."""

from shared.errors import SluiceError


class LeaseLost(SluiceError):
    """The claim on a run is no longer ours: another exporter has it, or it has ended. Nothing more may be written."""


class WorkerDied(SluiceError):
    """The process that worked on a run ended without a word."""


class GiveBack(SluiceError):
    """The work is to be given back here, at the end of a part: others wait for the slot, or the exporter stops."""


class CancelAsked(SluiceError):
    """The run is to be cancelled."""
