"""The pages, rendered on the server: plain links and forms that work without a script."""
