"""Rows of the run log as API documents: the models and how they are filled."""
