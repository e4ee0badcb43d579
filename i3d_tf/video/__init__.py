"""Videos to arrays and back: decode, sample, transform, encode. Never Keras."""
