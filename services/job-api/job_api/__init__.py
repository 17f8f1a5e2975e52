"""Job API: jobs, certificates and access, over REST and as pages."""
