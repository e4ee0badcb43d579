"""Accuracies, rankings and distances, computed from arrays."""
