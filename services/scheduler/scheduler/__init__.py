"""Scheduler: the slot ledger, from which every run begins."""
