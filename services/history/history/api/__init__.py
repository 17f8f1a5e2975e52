"""The routes of the API: requests to calls of services, and results and errors to responses."""
