"""What a `.weights.h5` file of I3D holds, looked up without building a network."""

from i3d_tf.weights.writer import WeightsError

FIRST_KERNEL = "layers/unit3d/conv_3d/vars/0"  # (7, 7, 7, channels, filters)
LAST_KERNEL = "layers/logits/conv/conv_3d/vars/0"  # (1, 1, 1, filters, classes)


def describe_weights(path) -> tuple[int, int | None]:
    """The channels that the network of a weights file reads, and its classes (None: no head).

    Raises:
        WeightsError: The file is not HDF5, or not the weights of an I3D.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            shapes = {
                name: file[name].shape for name in (FIRST_KERNEL, LAST_KERNEL) if name in file
            }
    except OSError as error:
        raise WeightsError(f"{path}: not a readable HDF5 file ({error}).") from error
    if len(shapes.get(FIRST_KERNEL, ())) != 5:
        raise WeightsError(f"{path}: these are not the weights of an I3D.")
    classes = shapes[LAST_KERNEL][-1] if LAST_KERNEL in shapes else None
    return shapes[FIRST_KERNEL][3], classes
