"""Rendered videos for a first try: single actions, several one after the other, and two sets."""

from pathlib import Path

import numpy as np

from i3d_tf.specs.stick_actions import DEMO, STICK_ACTIONS
from i3d_tf.synthetic.clip import clip_seed, render_clip
from i3d_tf.video.encode import write_video

SIZE, SET_SIZE = 256, 96  # pixels
SEED = 9
LONG = ("put_on_hat", "climb_up", "push_crate")
SET_CLIPS = 24  # of each of two sets
EXAMPLES = {
    "a person opens a door": ("open_door",),
    "a person puts on a hat": ("put_on_hat",),
    "a person climbs up a ladder": ("climb_up",),
    "three actions one after the other": LONG,
}


def example_video(name: str, folder: Path) -> Path:
    """Returns the path of an example, which is rendered when it is first used.

    Args:
        name: One of `EXAMPLES`.
        folder: Folder of the files.
    """
    path = folder / f"{name.replace(' ', '_')}.mp4"
    if not path.exists():
        clips = [
            render_clip(action, clip_seed(SEED, DEMO, action, 0), SIZE) for action in EXAMPLES[name]
        ]
        write_video(path, np.concatenate(clips))
    return path


def example_sets(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns two sets of clips: other clips of the same actions, and those with noise added."""
    sets: tuple[list[Path], list[Path]] = ([], [])
    generator = np.random.default_rng(SEED)
    for index in range(SET_CLIPS):
        action = STICK_ACTIONS[index % len(STICK_ACTIONS)].name
        for number, paths in enumerate(sets):
            path = folder / f"{('clean', 'noisy')[number]}_{index}_{action}.mp4"
            paths.append(path)
            if path.exists():
                continue
            frames = render_clip(
                action, clip_seed(SEED + 1 + number, DEMO, action, index), SET_SIZE
            )
            if number:
                noise = generator.normal(0, 40, frames.shape)
                frames = np.clip(frames + noise, 0, 255).astype(np.uint8)
            write_video(path, frames)
    return sets
