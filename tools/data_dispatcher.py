"""Runs the dispatcher of tf.data service, which shares out the work of making batches.

python tools/data_dispatcher.py --port=5050
python tools/data_worker.py --dispatcher=grpc://HOST:5050     # on every machine that makes batches
python tools/train.py --records='records/train-*' --data_service=grpc://HOST:5050

Who reaches the port can make the workers read and write files: keep it within your own network.
docs/data_service.md tells more.
"""

from absl import app, flags

from i3d_tf.system.console import one_line_errors, quiet_tensorflow, refuse_arguments

_PORT = flags.DEFINE_integer("port", 5050, "Port to listen at; 0 is any that is free.")
_WORK_DIR = flags.DEFINE_string(
    "work_dir",
    None,
    "Folder, also at gs://, in which it keeps what it knows: so it can be started again beside "
    "running trainings. Default: in memory.",
)


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        refuse_arguments(argv)
        quiet_tensorflow()
        from i3d_tf.distributed.data_servers import run_dispatcher

        run_dispatcher(_PORT.value, _WORK_DIR.value)


if __name__ == "__main__":
    app.run(main)
