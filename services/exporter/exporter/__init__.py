"""Exporter: admits triggers, claims runs, reads the source, packs, encrypts and stores."""
