"""The scheduler: decides the slots of all jobs and records them in the slot ledger."""
