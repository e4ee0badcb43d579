"""Explanations of trained networks: the part of motion, and the places that they look at."""
