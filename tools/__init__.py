"""Command-line programs: flags, and one call; in an installed package they are `i3d_tf.tools`."""
