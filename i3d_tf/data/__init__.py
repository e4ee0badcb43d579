"""Annotation files and videos to tf.data batches."""
