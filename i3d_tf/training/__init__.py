"""Training runs: model, callbacks, working directory."""
