"""The tables of history, and the object store: rows in and out, without decisions.

Of the packages above, the store knows the pure ones alone: `recording.projections` and `estimating.estimator`.
"""

from shared.queries import load_queries

SQL = load_queries("history")
SOURCE = "history"
