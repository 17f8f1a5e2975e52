"""Login, preferences, certificates, API keys and users."""
