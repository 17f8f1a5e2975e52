"""Exporter: admits triggers, claims runs, reads the source, and packs, encrypts and stores files."""
