"""Whole studies: the embedded dataset, the architectures compared."""
