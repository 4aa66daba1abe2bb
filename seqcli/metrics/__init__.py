"""Metrics: plain Python and numpy, accumulate then score. Imports no torch."""
