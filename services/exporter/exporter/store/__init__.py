"""The exporter's tables: admissions, runs, slices and parts. Every write under a claim checks its fencing token."""
