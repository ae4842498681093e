"""Examples that come with the package: :mod:`mxlite.examples.symbols`, well-known networks."""
