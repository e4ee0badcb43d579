"""Feature files of videos, and Fréchet video distances."""
