"""Named arrays to any Keras model: readers, one strict writer, store."""
