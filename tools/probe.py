"""Shows what is seen in videos: streams, frames, colours, damage; the first thing to ask for.

python tools/probe.py clip.mp4
python tools/probe.py --json --noread videos/ > videos.jsonl

The exit status is 1 if a video cannot be read, or is damaged.
"""

import json
import sys

from absl import app, flags

from i3d_tf.system.console import check_file_names, one_line_errors, print_lines
from i3d_tf.system.flags import define_folder_rate

_JSON = flags.DEFINE_bool("json", False, "Print one JSON record a line instead of text.")
_READ = flags.DEFINE_bool("read", True, "Read whole videos, which finds their damage.")
_FOLDER_RATE = define_folder_rate(flags)


def main(argv):
    """Reads the flags and makes one call for each video."""
    with one_line_errors():
        from i3d_tf.video.find import find_videos
        from i3d_tf.video.frame_folder import set_folder_rate
        from i3d_tf.video.probe import describe_video, description_lines

        set_folder_rate(_FOLDER_RATE.value)
        has_faults = False
        for video in find_videos(argv[1:]):
            description = describe_video(video, _READ.value)
            has_faults |= bool(description.get("error") or description.get("damage"))
            lines = [json.dumps(description)] if _JSON.value else description_lines(description)
            print_lines(*lines)
        sys.exit(1 if has_faults else 0)


if __name__ == "__main__":
    app.run(main, flags_parser=lambda argv: app.parse_flags_with_usage(check_file_names(argv)))
