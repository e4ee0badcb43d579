"""Makes batches of records for trainings on this and on other machines (tf.data service).

python tools/data_worker.py --dispatcher=grpc://HOST:5050

tools/data_dispatcher.py runs the dispatcher, and docs/data_service.md tells more.
"""

from absl import app, flags

from i3d_tf.system.console import one_line_errors, quiet_tensorflow, refuse_arguments

_DISPATCHER = flags.DEFINE_string(
    "dispatcher", None, "Address of the dispatcher, grpc://HOST:PORT.", required=True
)
_PORT = flags.DEFINE_integer("port", 0, "Port to listen at; 0 is any that is free.")
_HOST = flags.DEFINE_string(
    "host", None, "Name or address by which trainers reach this machine. Default: its own name."
)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.distributed.data_servers import run_worker

        run_worker(_DISPATCHER.value, _PORT.value, _HOST.value)


if __name__ == "__main__":
    app.run(main)
