"""Facts as data: architectures, releases, recipes, datasets, labels. Standard library only."""
