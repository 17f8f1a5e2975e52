"""The routes of History, run details and Artifacts."""

from starlette.routing import Route

from job_api.pages.runs import artifact_actions, artifacts, deliveries, opening, run_actions, run_details, run_list

RUN_ROUTES = (
    Route("/runs", run_list.show_runs, methods=["GET"]),
    Route("/runs/selected", run_actions.submit_selected, methods=["POST"]),
    Route("/runs/{run_id:uuid}", run_details.show_run, methods=["GET"]),
    Route("/runs/{run_id:uuid}/deliveries/{delivery_id:uuid}", deliveries.submit_delivery, methods=["POST"]),
    Route("/artifacts", artifacts.show_artifacts, methods=["GET"]),
    Route("/artifacts/selected", artifact_actions.submit_selected, methods=["POST"]),
    Route("/artifacts/sets/{run_id:uuid}/{kind}", artifact_actions.download_set, methods=["GET"]),
    Route("/artifacts/{artifact_id:uuid}/open", opening.show_opening, methods=["GET"]),
    Route("/artifacts/{artifact_id:uuid}", artifact_actions.download_file, methods=["GET"]),
)
