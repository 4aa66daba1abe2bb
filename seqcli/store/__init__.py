"""The store of trained models: runs, versions, names, archives. Imports no torch."""
