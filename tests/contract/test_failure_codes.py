"""R5: pages advise on exactly the codes with which the exporter reports that a run failed."""

from typing import get_args

from exporter import errors
from exporter.runs.outcome import describe_error
from job_api.pages.runs.descriptions import ADVICE
from shared.certificates import CertificateFault

OWN_CODES = {"no-certificate", "certificates-indistinguishable"} | {
    describe_error(error).code for error in (errors.WorkerDied("killed"), ValueError("x"))
}


def test_R5_every_code_of_a_failure_has_advice_and_no_other_code_has() -> None:
    # These two bear the code that they are given.
    kinds = set(errors.ExportError.__subclasses__()) - {errors.CertificateRefused, errors.WorkerFailed}
    assert set(ADVICE) == {kind.code for kind in kinds} | set(get_args(CertificateFault)) | OWN_CODES
