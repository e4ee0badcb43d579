"""The paper's comparison on the embedded dataset: which networks, how wide, how begun."""

from dataclasses import dataclass, replace

from i3d_tf.specs.architectures import ARCHITECTURES, Architecture
from i3d_tf.specs.complexity import architecture_multiply_adds, count_parameters
from i3d_tf.specs.recipes import (
    I3D_MODEL,
    RECIPES,
    STICK_ACTIONS,
    TRAINED_STREAMS,
    Recipe,
    for_model,
)
from i3d_tf.specs.stick_actions import STICK_LABELS

SCRATCH, IMAGES = "scratch", "images"  # random weights; those of a network of single frames
INITIALIZATIONS = (SCRATCH, IMAGES)
SEEDS = 2
WIDTH = 0.25  # of every network: so narrow that the table takes about an hour on two cores
STEPS = 480  # of every training, of 8 clips each
FROM_IMAGES = "two_stream"  # its RGB network sees single frames: the others begin with its weights


@dataclass(frozen=True)
class Entry:
    """One row of the table.

    Attributes:
        letter: The paper's, figure 2.
        name: Of its architecture.
        model: What is trained, one of `TRAINED_STREAMS`.
        starts: What its weights may begin as; there is no C3D of images.
    """

    letter: str
    name: str
    model: str
    starts: tuple[str, ...] = INITIALIZATIONS

    @property
    def architecture(self) -> Architecture:
        """What the paper says of it."""
        return ARCHITECTURES[self.name]

    @property
    def streams(self) -> tuple[str, ...]:
        """What is trained: one network for each."""
        return TRAINED_STREAMS[self.model]

    @property
    def parameters(self) -> int:
        """Values in the variables of all its networks."""
        shape = self._clip_shapes()["rgb"]
        return count_parameters(
            self.name, len(STICK_LABELS), WIDTH, shape if self.name == "c3d" else None
        )

    @property
    def multiply_adds(self) -> int:
        """Of all its networks for one test video with all its windows."""
        shapes = self._clip_shapes()
        window = architecture_multiply_adds(self.name, shapes, len(STICK_LABELS), WIDTH)
        return window * self.recipe(self.streams[0]).test_windows

    def _clip_shapes(self):
        recipes = [self.recipe(stream) for stream in self.streams]
        return {
            stream: recipe.clip_shape(stream, recipe.test_frames)
            for recipe in recipes
            for stream in recipe.streams
        }

    def recipe(self, stream: str, steps: int = STEPS) -> Recipe:
        """How the network of one stream is trained."""
        recipe = for_model(RECIPES[STICK_ACTIONS], self.model)
        return replace(
            recipe,
            stream=stream,
            width_multiplier=WIDTH,
            steps=steps,
            evaluate_every=steps,
        )


CONTENDERS = (
    Entry("a", "convnet_lstm", "convnet_lstm"),
    Entry("b", "c3d", "c3d", starts=(SCRATCH,)),
    Entry("c", "two_stream", "two_stream"),
    Entry("d", "fused_3d", "fused_3d"),
    Entry("e", "two_stream_i3d", I3D_MODEL),
)
