"""Inspect: what goes on inside a network, one file a view."""
