"""Facts as data: architecture tables, releases, recipes, datasets, labels. Standard library only."""
