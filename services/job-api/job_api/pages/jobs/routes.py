"""The addresses of the pages of jobs."""

from functools import partial

from starlette.routing import Route

from job_api.pages.jobs.editor import Editor
from job_api.pages.jobs.job_list import asking_to_delete, choosing, deleting, job_list, switching
from job_api.pages.jobs.notices import Surroundings
from job_api.service import Access, Jobs
from shared.clock import Clock


def job_pages(access: Access, jobs: Jobs, around: Surroundings, editor: Editor, clock: Clock) -> list[Route]:
    """Return the routes of the list of jobs and of the editor."""
    switch = partial(switching, access, jobs)
    return [
        Route("/jobs", partial(job_list, access, jobs, around, clock), methods=["GET"]),
        Route("/jobs/chosen", partial(choosing, access, jobs), methods=["POST"]),
        Route("/jobs/new", editor.new, methods=["GET"]),
        Route("/jobs/new", editor.create, methods=["POST"]),
        Route("/jobs/ahead/{part}", editor.ahead, methods=["POST"]),
        Route("/jobs/{job_id:uuid}/edit", editor.edit, methods=["GET"]),
        Route("/jobs/{job_id:uuid}/edit", editor.save, methods=["POST"]),
        Route("/jobs/{job_id:uuid}/suspend", switch, methods=["POST"]),
        Route("/jobs/{job_id:uuid}/resume", switch, methods=["POST"]),
        Route("/jobs/{job_id:uuid}/delete", partial(asking_to_delete, access, jobs, clock), methods=["GET"]),
        Route("/jobs/{job_id:uuid}/delete", partial(deleting, access, jobs), methods=["POST"]),
    ]
