"""A network within a network, whose variables' paths start with its name."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="i3d_tf")
class Stream(keras.Model):
    """A functional model that is a layer of another one.

    It is made of tensors like `keras.Model(inputs, outputs, name=...)`. Its layers are to be made
    within `keras.name_scope(name)`: their variables' paths then start with the name, so that two
    streams of one model have no path in common. Loading it from a file does the same.
    """

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "Stream":
        """Builds the network from its config, within the scope of its name."""
        with keras.name_scope(config["name"]):
            return super().from_config(config, custom_objects)
