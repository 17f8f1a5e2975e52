"""The peer: APScheduler 3 with its jobs in PostgreSQL, set up as in its guide except for the grace time.

By default it drops runs that are more than a second late, most of a burst; here it drops none.
"""

import sys
import threading
import time
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_EXECUTED, JobEvent
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler


def work() -> None:
    """Do nothing: only the scheduling is measured."""


def main(dsn: str, jobs: int) -> None:
    """Run `jobs` jobs that are due at once, and print the seconds until all are done and stored again."""
    store = SQLAlchemyJobStore(dsn.replace("postgresql://", "postgresql+psycopg://", 1))
    scheduler = BackgroundScheduler(
        jobstores={"default": store},
        job_defaults={"misfire_grace_time": None, "coalesce": False},
        timezone=UTC,
    )
    scheduler.start(paused=True)
    scheduler.remove_all_jobs()
    done, counted = threading.Event(), 0

    def count(_: JobEvent) -> None:
        nonlocal counted
        counted += 1
        if counted == jobs:
            done.set()

    scheduler.add_listener(count, EVENT_JOB_EXECUTED)
    due = datetime.now(UTC)
    for _ in range(jobs):
        scheduler.add_job(work, "interval", days=1, next_run_time=due)
    began = time.monotonic()
    scheduler.resume()
    done.wait()
    # Wait until every job has its next run time in the store.
    while not all(job.next_run_time > due + timedelta(hours=1) for job in store.get_all_jobs()):
        pass
    sys.stdout.write(f"{time.monotonic() - began}\n")
    scheduler.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
