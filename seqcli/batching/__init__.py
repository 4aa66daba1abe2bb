"""Batching: examples to memory-mapped arrays, length buckets and token budgets, seeded order."""
