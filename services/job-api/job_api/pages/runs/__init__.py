"""Runs and their files: lists, details, downloads."""
