"""Videos to predictions: predictor, sliding window, streaming."""
