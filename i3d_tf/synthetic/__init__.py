"""The embedded dataset: scripted stick people, rendered to frames."""
