"""A network within a network, whose variables say which one they belong to."""

import keras


@keras.saving.register_keras_serializable(package="i3d_tf")
class Stream(keras.Model):
    """A functional model that is a layer of another one.

    It is made of tensors like `keras.Model(inputs, outputs, name=...)`. Its layers are to be made
    within `keras.name_scope(name)`: their variables' paths then begin with the name, so that two
    streams of one model have no path in common. Loaded from a file it does that itself.
    """

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Builds the network anew, its variables' paths beginning with its name."""
        with keras.name_scope(config["name"]):
            return super().from_config(config, custom_objects)
