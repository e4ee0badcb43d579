"""Networks: clips to logits and named endpoints."""
