"""Engines: a trained model made fast for prediction."""
