"""Converts a released DeepMind I3D checkpoint to Keras weights.

python tools/convert.py --release=rgb_imagenet --download
python tools/convert.py --release=rgb_imagenet --source=kinetics-i3d/data/checkpoints/rgb_imagenet
"""

from pathlib import Path

from absl import app, flags

from i3d_tf.runs.console import one_line_errors, quiet_tensorflow
from i3d_tf.specs.releases import RELEASES, UPSTREAM_URL

_RELEASE = flags.DEFINE_enum("release", None, tuple(RELEASES), "Which checkpoint.", required=True)
_SOURCE = flags.DEFINE_string("source", None, "Folder with model.ckpt.*, or their prefix.")
_DOWNLOAD = flags.DEFINE_bool("download", False, "Fetch the files (51 to 103 MB) and verify them.")
_BASE_URL = flags.DEFINE_string("base_url", UPSTREAM_URL, "Where --download finds `data/`.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "checkpoints", "Where the weights go.")


def main(argv):
    """Reads the flags and makes one call."""
    with one_line_errors():
        if len(argv) > 1:
            raise ValueError(f"unexpected arguments {argv[1:]}; every option is a --flag.")
        if _DOWNLOAD.value == (_SOURCE.value is not None):
            raise ValueError("give either --source=DIR_OR_PREFIX or --download.")
        quiet_tensorflow()
        from i3d_tf.runs.convert import convert, download_release

        source = _SOURCE.value
        if _DOWNLOAD.value:
            directory = Path(_OUTPUT_DIR.value) / "upstream" / _RELEASE.value
            source = download_release(_RELEASE.value, directory, _BASE_URL.value)
        print(convert(_RELEASE.value, source, _OUTPUT_DIR.value))


if __name__ == "__main__":
    app.run(main)
