"""Request bodies, as the API and the pages accept them, and the drafts that they describe."""
