"""Networks to SavedModel and ONNX, and back."""
