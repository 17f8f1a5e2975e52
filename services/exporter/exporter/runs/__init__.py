"""Runs from admission to outcome: claimed under leases, coordinated, helped with, swept."""
