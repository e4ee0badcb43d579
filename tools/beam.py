"""Does a job by Apache Beam: on all processors of this machine, on Dataflow, Flink or Spark.

python tools/beam.py extract_features --output_dir=features videos/
python tools/beam.py compute_flow --data_dir=videos --flow_dir=flow --direct_num_workers=2
python tools/beam.py predict --output_dir=gs://b/p --runner=DataflowRunner gs://b/videos
python tools/beam.py check_videos --help

The jobs are check_videos, compute_flow, extract_features, make_records and predict --output_dir,
with their own flags; all other flags are Beam's. The files are those of the job without Beam, and a
stopped job goes on when it is run again: docs/beam.md.
"""

import importlib.util
import sys
from pathlib import Path

from absl import app, flags

from i3d_tf.system.console import check_file_names, one_line_errors

JOBS = ("check_videos", "compute_flow", "extract_features", "make_records", "predict")

_THREADS = flags.DEFINE_integer(
    "threads",
    None,
    "Threads of each worker process. Default: its share of this machine's processors; 1 on others.",
    lower_bound=1,
)
_RECORDS_DIR = flags.DEFINE_string(
    "records_dir",
    None,
    "Of check_videos: folder or address that all workers can write, for a small file a video while "
    "it runs. Default: beside the list.",
)
_job = None  # the tool of the job
_beam_flags: list[str] = []


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        if _job is None:
            raise ValueError(f"the first argument must be a job: {', '.join(JOBS)}.")
        from i3d_tf.distributed.beam_runner import BeamRunner

        if "processes" in flags.FLAGS and flags.FLAGS["processes"].present:
            raise ValueError(
                "--processes is of a job without Beam. Give --direct_num_workers, the processes on "
                "this machine, or the options of another --runner."
            )
        runner = BeamRunner(_beam_flags, _THREADS.value, _RECORDS_DIR.value)
    _job.main([argv[0], *argv[2:]], runner=runner)


def parse_flags(argv: list[str]) -> list[str]:
    """Loads the tool of the job and parses its flags; those of Beam are left to `main`.

    Args:
        argv: The command line, with the name of the program.

    Returns:
        The name of the program, the job, and the arguments that are no flags.
    """
    global _job  # noqa: PLW0603 - flags are the program's
    with one_line_errors():
        from i3d_tf.distributed.beam_flags import split_flags

        if len(argv) > 1 and not argv[1].startswith("-"):
            _job = _load(argv[1])
            ours, _beam_flags[:] = split_flags(argv[2:], tuple(flags.FLAGS))
            argv = [*argv[:2], *ours]
    return app.parse_flags_with_usage(check_file_names(argv))


def _load(job):
    """Imports the tool of a job, whose flags are listed with this one's by --help."""
    job = job.replace("-", "_")
    if job not in JOBS:
        raise ValueError(f"{job}: there is no such job. The jobs are {', '.join(JOBS)}.")
    path = Path(__file__).with_name(f"{job}.py")
    # absl lists the flags of the module that is named like the program.
    spec = importlib.util.spec_from_file_location(sys.argv[0], path)
    module = importlib.util.module_from_spec(spec)
    own = sys.modules.get(spec.name)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if own is not None:
        sys.modules[spec.name] = own
    return module


if __name__ == "__main__":
    app.run(main, flags_parser=parse_flags)
