"""I5: the API can do what the pages can. An address of the pages without named operations fails this test."""

from starlette.routing import Route

from job_api.pages.app import PagesMount
from shared.http.openapi_files import read_document
from tests.integration.job_api.world import World

OPERATIONS = {
    ("POST", "/login"): {"logIn"},
    ("POST", "/logout"): {"logOut"},
    ("GET", "/jobs"): {"listJobs", "countJobs"},
    ("POST", "/jobs/selected"): {"runJob", "cloneJob", "suspendJob", "resumeJob"},
    ("GET", "/jobs/delete"): {"getJob"},
    ("POST", "/jobs/delete"): {"deleteJob"},
    ("GET", "/jobs/new"): {"getJob", "getRun", "listSources", "listCertificates"},
    ("POST", "/jobs/new"): {"createJob", "cloneJob", "cloneRun"},
    # A draft is what a page has not sent yet: an API client keeps its own.
    ("POST", "/jobs/drafts/{draft_id:uuid}"): set(),
    ("POST", "/jobs/drafts/{draft_id:uuid}/discard"): set(),
    ("POST", "/jobs/preview/{part}"): {"previewSchedule", "estimateJob"},
    ("GET", "/jobs/{job_id:uuid}"): {"getJob", "previewSchedule", "listCertificates", "listRuns", "listArtifacts"},
    ("POST", "/jobs/{job_id:uuid}/run"): {"runJob"},
    ("GET", "/jobs/{job_id:uuid}/edit"): {"getJob"},
    ("POST", "/jobs/{job_id:uuid}/edit"): {"replaceJob"},
    ("POST", "/jobs/{job_id:uuid}/suspend"): {"suspendJob"},
    ("POST", "/jobs/{job_id:uuid}/resume"): {"resumeJob"},
    ("GET", "/jobs/{job_id:uuid}/delete"): {"getJob"},
    ("POST", "/jobs/{job_id:uuid}/delete"): {"deleteJob"},
    ("GET", "/preferences"): {"getMe", "listCertificates", "listKeys"},
    ("POST", "/preferences/password"): {"changePassword"},
    ("POST", "/preferences/certificates"): {"uploadCertificate"},
    ("GET", "/preferences/certificates/{certificate_id:uuid}/retire"): {"getCertificate", "getCertificateUse"},
    ("POST", "/preferences/certificates/{certificate_id:uuid}/retire"): {"retireCertificate", "updateJob"},
    ("GET", "/preferences/destinations"): {"listDestinations"},
    ("POST", "/preferences/destinations"): {"createDestination"},
    ("GET", "/preferences/destinations/new"): {"getTenant"},
    ("GET", "/preferences/destinations/{destination_id:uuid}"): {"getDestination"},
    ("POST", "/preferences/destinations/{destination_id:uuid}"): {"updateDestination"},
    ("POST", "/preferences/destinations/{destination_id:uuid}/state"): {"updateDestination"},
    ("POST", "/preferences/destinations/{destination_id:uuid}/test"): {"testDestination"},
    ("POST", "/preferences/destinations/{destination_id:uuid}/trust"): {"trustHostKey"},
    ("GET", "/preferences/destinations/{destination_id:uuid}/delete"): {"getDestination"},
    ("POST", "/preferences/destinations/{destination_id:uuid}/delete"): {"deleteDestination"},
    ("POST", "/preferences/keys"): {"createKey"},
    ("GET", "/preferences/keys/{key_id:uuid}/revoke"): {"listKeys"},
    ("POST", "/preferences/keys/{key_id:uuid}/revoke"): {"revokeKey"},
    ("GET", "/users"): {"listUsers"},
    ("POST", "/users"): {"createUser"},
    ("GET", "/users/{user_id:uuid}"): {"getUser"},
    ("POST", "/users/{user_id:uuid}"): {"updateUser"},
    ("GET", "/runs"): {"listRuns", "countRuns", "followRuns"},
    ("POST", "/runs/selected"): {"cancelRun", "removeRun"},
    ("GET", "/runs/{run_id:uuid}"): {"getRun"},
    ("POST", "/runs/{run_id:uuid}/deliveries/{delivery_id:uuid}"): {"retryDelivery", "cancelDelivery"},
    ("GET", "/artifacts"): {"listArtifacts", "countArtifacts"},
    ("POST", "/artifacts/selected"): {"downloadArchive", "deleteArtifacts", "createLink"},
    ("GET", "/artifacts/sets/{run_id:uuid}/{kind}"): {"downloadArchive"},
    ("GET", "/artifacts/{artifact_id:uuid}"): {"downloadArtifact"},
    ("GET", "/artifacts/{artifact_id:uuid}/open"): {"getArtifact", "getRun", "listCertificates"},
}
WITHOUT_OPERATION = {"/", "/login", "/login/oidc", "/login/oidc/callback", "/{path:path}"}
"""The entry pages, and the page for unknown addresses."""


def test_I5_each_address_of_the_pages_is_an_operation_of_the_api(world: World) -> None:
    pages = next(route for route in world.app.router.routes if isinstance(route, PagesMount))
    addresses = {
        (method, route.path)
        for route in pages.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
        if method != "GET" or route.path not in WITHOUT_OPERATION
    }
    assert addresses == set(OPERATIONS)
    offered = {
        operation["operationId"]
        for each in (world.app.openapi(), read_document("history"))
        for methods in each["paths"].values()
        for operation in methods.values()
    }
    assert set().union(*OPERATIONS.values()) - offered == set()
