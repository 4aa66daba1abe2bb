"""Recipes: schema, loader and the registry of component kinds. Imports no torch."""
