"""Compressed streams: the numbers of their pictures, and damage that decoders pass over."""
