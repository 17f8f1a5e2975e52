"""The rules of runs, slices and manifests: pure; time is an argument."""
