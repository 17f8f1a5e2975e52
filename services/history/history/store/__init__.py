"""History's tables: rows to domain objects and back, without decisions.

Of the packages above, the store knows the pure ones alone: `recording.projections` and `estimating.estimator`.
"""

from shared.queries import load_queries

SQL = load_queries("history")
SOURCE = "history"
