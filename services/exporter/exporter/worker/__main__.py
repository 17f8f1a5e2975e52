"""`python -m exporter.worker`: the worker process, started by the exporter."""

import signal

import uvloop

from exporter.worker.orders import run_worker

if __name__ == "__main__":
    # A signal to the process group is for the exporter, which decides what becomes of its workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    uvloop.run(run_worker())
