"""The pipeline: train, evaluate, predict as plain functions that never print."""
