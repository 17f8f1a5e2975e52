"""Rules of admission, windows, retries, slices, parts and manifests. Pure: time is an argument."""
