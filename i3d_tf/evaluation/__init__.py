"""Networks over a test set, and the report page."""
