"""History's edge over HTTP."""
