"""The page: three tabs of gradio, whose results are HTML of `i3d_tf.web.markup`."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import gradio as gr

from i3d_tf.video.names import VIDEO_SUFFIXES
from i3d_tf.viz.markup import Markup
from i3d_tf.web.examples import EXAMPLES, example_sets, example_video
from i3d_tf.web.failures import failure_line
from i3d_tf.web.jobs import Jobs
from i3d_tf.web.markup import (
    comparison_markup,
    error_markup,
    recognition_markup,
    reversal_markup,
)

TITLE = "I3D: recognize actions in videos"
MAX_QUEUE = 32
SHARED = {"concurrency_limit": 1, "concurrency_id": "networks"}
# Fonts of the machine: no other is loaded.
FONTS = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}


class Page:
    """The page and the functions behind its buttons.

    Args:
        jobs: The jobs.
        lock: Held while a job runs.
        examples: Folder of the rendered examples.
    """

    def __init__(self, jobs: Jobs, lock: threading.Lock, examples: Path):
        self._jobs, self._lock, self._examples = jobs, lock, examples

    def blocks(self) -> gr.Blocks:
        """Returns the page."""
        shelf, limits = self._jobs.shelf, self._jobs.limits
        with gr.Blocks(title=TITLE, analytics_enabled=False) as blocks:
            gr.Markdown(f"# {TITLE}")
            with gr.Tab("Recognize"):
                inputs = self._video_inputs(shelf.names)
                with gr.Row():
                    shown = [
                        gr.Checkbox(True, label=f"Show {what}")
                        for what in ("the frames and their motion", "what speaks for the class")
                    ]
                self._button("Recognize", self.recognize, [*inputs, *shown], "recognize")
            with gr.Tab("Compare two sets"):
                gr.Markdown(
                    "The Fréchet video distance (FVD) of two sets of videos, such as real and "
                    "generated ones. Without files, two sets of rendered clips are compared, of "
                    "which one has noise."
                )
                with gr.Row():
                    sets = [
                        gr.File(
                            label=f"{name} set: videos of at most {limits.max_megabytes:g} MB",
                            file_count="multiple",
                            elem_id=f"{name.lower()}-set",
                        )
                        for name in ("First", "Second")
                    ]
                network = gr.Dropdown(shelf.rgb_names, value=shelf.rgb_names[0], label="Network")
                self._button("Compare", self.compare, [*sets, network], "compare")
            with gr.Tab("Play backwards"):
                gr.Markdown(
                    "The same clip forwards and backwards: what moved, and does the network see in "
                    "which direction?"
                )
                inputs = self._video_inputs(shelf.names)
                self._button("Play backwards", self.play_backwards, inputs, "backwards")
        return blocks.queue(max_size=MAX_QUEUE, default_concurrency_limit=1)

    def _video_inputs(self, networks):
        limits = self._jobs.limits
        with gr.Row():
            with gr.Column():
                video = gr.File(
                    label=f"Video: at most {limits.max_megabytes:g} MB, {limits.max_seconds:g} s",
                    file_types=[*VIDEO_SUFFIXES],
                )
            with gr.Column():
                example = gr.Dropdown(
                    list(EXAMPLES), value=next(iter(EXAMPLES)), label="or a rendered example"
                )
                network = gr.Dropdown(networks, value=networks[0], label="Network")
        return video, example, network

    def _button(self, title, function, inputs, name):
        button = gr.Button(title, variant="primary", elem_id=f"{name}-button")
        output = gr.HTML(elem_id=f"{name}-result")
        button.click(function, [*inputs], output, api_visibility="private", **SHARED)

    def recognize(
        self, video: str | None, example: str, network: str, clip: bool, saliency: bool
    ) -> Markup:
        """Returns the prediction for an uploaded video, or for an example where there is none."""
        return self._shown(
            lambda: recognition_markup(
                self._jobs.recognize(
                    self._path(video, example),
                    network,
                    with_clip=bool(clip),
                    with_saliency=bool(saliency),
                )
            )
        )

    def play_backwards(self, video: str | None, example: str, network: str) -> Markup:
        """Returns the predictions for a video forwards and backwards."""
        return self._shown(
            lambda: reversal_markup(
                self._jobs.play_backwards(self._path(video, example), network, with_clips=True)
            )
        )

    def compare(
        self, first: Sequence[str] | None, second: Sequence[str] | None, network: str
    ) -> Markup:
        """Returns the distance of two sets; of rendered ones where none is given."""

        def compare():
            sets = [[Path(path) for path in paths or ()] for paths in (first, second)]
            if not any(sets):
                sets = example_sets(self._examples)
            return comparison_markup(self._jobs.compare_sets(*sets, network))

        return self._shown(compare)

    def _path(self, video, example):
        if video is not None:
            return Path(video)
        if example not in EXAMPLES:
            raise ValueError("no video is given. Drop one, or choose an example.")
        return example_video(example, self._examples)

    def _shown(self, run: Callable[[], Markup]) -> Markup:
        """Returns what a function returns, or why it failed; no failure ends the page."""
        try:
            with self._lock:
                return run()
        except Exception as error:
            return error_markup(failure_line(error))
