"""Clips and flow: decode, sample, transform, optical flow. Never Keras."""
