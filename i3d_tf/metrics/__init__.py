"""Accuracies, rankings, Fréchet distances."""
