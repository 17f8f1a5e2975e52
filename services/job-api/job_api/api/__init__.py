"""The REST API: routes that parse a request, call one service and render the result."""
