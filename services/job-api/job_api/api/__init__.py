"""The REST API, `/api/v1`: each route reads the request, calls one method of a service, and answers."""
