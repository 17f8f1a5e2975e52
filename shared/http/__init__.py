"""Everything that both HTTP services do: application, callers, problems, lists, idempotency, conditions, limits."""
