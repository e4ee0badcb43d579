"""The operating system: files, processes, terminal, storage."""
