"""Named arrays to any Keras model: readers, the one strict writer, the store."""
