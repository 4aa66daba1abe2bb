"""Models that are not networks: counts and linear classifiers, fitted in one go. Numpy alone, no torch."""
