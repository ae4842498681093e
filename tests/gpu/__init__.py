"""The GPU backend on machines without a GPU."""
