"""Accuracies, rankings, Fréchet and kernel distances."""
