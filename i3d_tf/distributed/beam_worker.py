"""A worker process of Beam on this machine: `python -m i3d_tf.distributed.beam_worker FOLDER`.

Beam's own would go on with all that it was given when the job is stopped or killed; this one ends
with the process that started it, or when that removes the folder.
"""

import logging
import os
import signal
import sys
import threading
import time

PIPELINE = "i3d_tf.distributed.beam_pipeline"
SECONDS = 0.2  # from look to look


def _end_with_job(folder, parent):
    while os.path.isdir(folder) and os.getppid() == parent:
        time.sleep(SECONDS)
    try:
        if (pipeline := sys.modules.get(PIPELINE)) is not None:  # it has had work to do
            pipeline.abandon_work()
    finally:
        os._exit(1)


# The children of a worker import this module, too.
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the job
    threading.Thread(target=_end_with_job, args=(sys.argv[1], os.getppid()), daemon=True).start()
    logging.getLogger().addHandler(logging.NullHandler())  # what is logged goes to the job
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv[:1])
