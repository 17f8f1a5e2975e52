"""The routes of the pages of jobs."""

from starlette.routing import Route

from job_api.pages.jobs import editor, job_list, job_page, saving, selected

JOB_ROUTES = (
    Route("/jobs", job_list.show_jobs, methods=["GET"]),
    Route("/jobs/selected", selected.submit_selected, methods=["POST"]),
    Route("/jobs/delete", selected.confirm_deletions, methods=["GET"]),
    Route("/jobs/delete", selected.delete_jobs, methods=["POST"]),
    Route("/jobs/new", editor.show_new_job, methods=["GET"]),
    Route("/jobs/new", saving.submit_new_job, methods=["POST"]),
    Route("/jobs/drafts/{draft_id:uuid}", saving.keep_draft, methods=["POST"]),
    Route("/jobs/drafts/{draft_id:uuid}/discard", saving.discard_draft, methods=["POST"]),
    Route("/jobs/preview/{part}", editor.show_preview, methods=["POST"]),
    Route("/jobs/{job_id:uuid}", job_page.show_job_page, methods=["GET"]),
    Route("/jobs/{job_id:uuid}/run", job_page.run_job, methods=["POST"]),
    Route("/jobs/{job_id:uuid}/edit", editor.show_job, methods=["GET"]),
    Route("/jobs/{job_id:uuid}/edit", saving.submit_changes, methods=["POST"]),
    Route("/jobs/{job_id:uuid}/suspend", job_list.suspend_job, methods=["POST"]),
    Route("/jobs/{job_id:uuid}/resume", job_list.resume_job, methods=["POST"]),
    Route("/jobs/{job_id:uuid}/delete", job_list.confirm_deletion, methods=["GET"]),
    Route("/jobs/{job_id:uuid}/delete", job_list.delete_job, methods=["POST"]),
)
