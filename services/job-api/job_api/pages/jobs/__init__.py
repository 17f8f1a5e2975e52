"""The list of jobs and the editor."""
