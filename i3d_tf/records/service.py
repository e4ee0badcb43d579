"""Batches of records made by tf.data service: by processes of this and of other machines."""

import socket
from collections.abc import Callable

import tensorflow as tf

PREFIX = "grpc://"
SECONDS_TO_ANSWER = 10.0


def check_service(address: str) -> None:
    """Checks that a dispatcher answers.

    Args:
        address: "grpc://HOST:PORT".

    Raises:
        ValueError: It is no address, or nobody answers there: TensorFlow would wait for ever.
    """
    host, port = split_address("data_service", address)
    try:
        socket.create_connection((host, port), SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise ValueError(
            f"`data_service` {address}: nobody answers ({error}). Start i3d data_dispatcher there, "
            "and i3d data_worker on the machines that make batches."
        ) from error


def split_address(name: str, address: str) -> tuple[str, int]:
    """Returns host and port of an address.

    Args:
        name: The argument's name, for the error.
        address: "grpc://HOST:PORT"; a host of IPv6 stands in brackets.

    Raises:
        ValueError: It is none.
    """
    host, colon, port = address.removeprefix(PREFIX).rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16
    if not address.startswith(PREFIX) or not colon or not host or not is_port or "/" in host:
        raise ValueError(f"`{name}` must be {PREFIX}HOST:PORT; received {address!r}.")
    return host.strip("[]"), int(port)


def distribute_to(address: str) -> Callable[[tf.data.Dataset], tf.data.Dataset]:
    """Returns a function that hands a dataset to the workers of a dispatcher.

    Every clip of the dataset's source is given to one worker, whichever asks first. So the order
    varies from run to run; and a worker that ends takes the clips it holds with it. The dataset
    must go on for ever.

    Args:
        address: That of the dispatcher, see `check_service`.
    """
    return tf.data.experimental.service.distribute(
        tf.data.experimental.service.ShardingPolicy.DYNAMIC,
        address,
        compression=None,  # pictures hardly become smaller, and it takes time on both sides
    )
