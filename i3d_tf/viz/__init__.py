"""Arrays to pictures and charts."""
