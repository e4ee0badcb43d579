"""Optical flow: TV-L1 engines, flow files, quantization. Never Keras."""
