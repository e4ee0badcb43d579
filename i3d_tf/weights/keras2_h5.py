"""Reader of the `.h5` files of Keras 1 and 2: a group for every layer, and no network."""

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from i3d_tf.system.errors import short_reason
from i3d_tf.system.files import check_regular
from i3d_tf.weights.assign import WeightsError
from i3d_tf.weights.h5_check import check_dataset

if TYPE_CHECKING:
    import h5py

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"


class H5Tensor:
    """An array of a file that is open, whose numbers are read when they are wanted.

    Attributes:
        shape: Its shape.
        dtype: Name of the type of its numbers.
    """

    def __init__(self, dataset: "h5py.Dataset"):
        self._dataset = dataset
        self.shape: tuple[int, ...] = tuple(dataset.shape or ())
        self.dtype: str = dataset.dtype.name

    def read(self) -> np.ndarray:
        """Returns the numbers.

        Raises:
            WeightsError: They stand in another file, or unpack to more than they are.
        """
        check_dataset(self._dataset)
        return np.asarray(self._dataset[()])


@contextlib.contextmanager
def open_keras2(path: os.PathLike | str) -> Iterator[dict[str, H5Tensor]]:
    """Opens a file of weights, or of a whole model with an optimizer, which is left out.

    Links to other files are not followed.

    Yields:
        `<layer>/<last name>`, such as `Conv3d_1a_7x7_conv/kernel`, to array.

    Raises:
        WeightsError: The file is damaged, or not of Keras 2. In the block, errors of HDF5 become
            such errors.
    """
    import h5py

    check_regular(path)
    tensors = {}

    def add(name, item):
        if isinstance(item, h5py.Dataset):
            layer, *_, last = name.split("/")
            key = f"{layer}/{last.removesuffix(':0')}"
            if key in tensors:
                raise WeightsError(f"{path}: {layer} has two arrays named {last}.")
            tensors[key] = H5Tensor(item)

    try:
        with h5py.File(path, "r") as file:
            if "layers" in file and "layer_names" not in file.attrs:
                raise WeightsError(
                    f"{path}: a .weights.h5 file of Keras 3, which needs no conversion. Load it by "
                    "its path."
                )
            weights = file.get("model_weights", file)
            if not isinstance(weights, h5py.Group):
                raise WeightsError(f"{path}: not weights of Keras 2.")
            weights.visititems(add)
            yield tensors
    except WeightsError:
        raise
    except Exception as error:  # h5py raises anything for damaged files
        reason = short_reason(error).strip("'\"")
        raise WeightsError(f"{path}: a damaged HDF5 file ({reason}).") from error
