"""Counts how runs end and which side can help, so that alerts and budgets count what the operator can fix.

Every series exists from the start of the process: a counter that appears with its first failure has no rate then, and a
failure after each daily start would never be seen.
"""

from typing import Literal, get_args

from exporter import errors
from shared.certificates import CertificateFault
from shared.observe import EXPORT_ERRORS, RUNS_ENDED

_OWN_CODES = frozenset({"worker-died", "internal"})
CUSTOMERS = frozenset(get_args(CertificateFault)) | {
    "no-certificate",
    "certificates-indistinguishable",
    errors.SourceAccessRefused.code,
    errors.BadMapping.code,
    errors.WatermarkUnsupported.code,
    errors.FileTooLarge.code,
    errors.TooManyFiles.code,
}
"""Codes of failures that the customer can fix: recipients, the source's login and views, a job's settings."""
_WITH_GIVEN_CODES = (errors.CertificateRefused, errors.WorkerFailed)
OPERATORS = (
    frozenset(kind.code for kind in errors.ExportError.__subclasses__() if kind not in _WITH_GIVEN_CODES) | _OWN_CODES
) - CUSTOMERS
"""Codes of failures that the operator can fix, or that are ours."""
_OTHER_ENDS = (
    ("succeeded", ""),
    ("cancelled", "requested"),
    ("cancelled", "job-deleted"),
    ("skipped", "overlap"),
)


def count_end(state: Literal["succeeded", "cancelled", "skipped"], reason: str = "") -> None:
    """Count a run that ended without a failure."""
    RUNS_ENDED.labels(state, reason, "").inc()


def count_failure(code: str) -> None:
    """Count a run that failed with this code."""
    RUNS_ENDED.labels("failed", code, find_fault(code)).inc()


def find_fault(code: str) -> Literal["customer", "operator"]:
    """Return which side can fix what a code stands for; the operator has to look at unknown ones."""
    return "customer" if code in CUSTOMERS else "operator"


def _start_series() -> None:
    for state, reason in _OTHER_ENDS:
        RUNS_ENDED.labels(state, reason, "")
    for code in CUSTOMERS | OPERATORS:
        RUNS_ENDED.labels("failed", code, find_fault(code))
    for kind in errors.ExportError.__subclasses__():
        if kind not in _WITH_GIVEN_CODES:
            EXPORT_ERRORS.labels(kind.code, "transient" if kind.transient else "permanent")


_start_series()
