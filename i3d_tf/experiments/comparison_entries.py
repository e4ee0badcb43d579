"""The networks of the paper's comparison, as they are trained on the embedded dataset."""

from dataclasses import dataclass, field, replace

from i3d_tf.specs.architectures import ARCHITECTURES, Architecture
from i3d_tf.specs.complexity import Complexity, architecture_complexity
from i3d_tf.specs.recipes import (
    I3D_MODEL,
    RECIPES,
    STICK_ACTIONS,
    TRAINED_STREAMS,
    Recipe,
    for_model,
)
from i3d_tf.specs.stick_actions import STICK_LABELS

SCRATCH = "scratch"  # random weights
FROM_2D_WEIGHTS = "images"  # weights of a network that sees single frames
INITIALIZATIONS = (SCRATCH, FROM_2D_WEIGHTS)
SOURCE_OF_2D_WEIGHTS = "two_stream"  # the entry whose RGB network sees single frames
SEEDS = 2
WIDTH = 0.25  # of every network: so narrow that the table takes about an hour on two cores
STEPS = 480  # of every training, of 8 clips each


@dataclass(frozen=True)
class Entry:
    """One architecture of the comparison.

    Attributes:
        letter: The paper's, figure 2.
        name: Name of the architecture.
        model: Name of the trained model, one of `TRAINED_STREAMS`.
        initializations: Weights from which it is trained; C3D has no 2D counterpart.
    """

    letter: str
    name: str
    model: str
    initializations: tuple[str, ...] = INITIALIZATIONS

    @property
    def architecture(self) -> Architecture:
        """The architecture as the paper describes it."""
        return ARCHITECTURES[self.name]

    @property
    def streams(self) -> tuple[str, ...]:
        """Streams that are trained, one network each."""
        return TRAINED_STREAMS[self.model]

    @property
    def parameters(self) -> int:
        """Values in the variables of all its networks."""
        return self._complexity().parameters

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of all its networks for all windows of one test video."""
        return self._complexity().multiply_adds * self.recipe(self.streams[0]).test_windows

    def recipe(self, stream: str, steps: int = STEPS) -> Recipe:
        """Returns the recipe by which the network of one stream is trained."""
        recipe = for_model(RECIPES[STICK_ACTIONS], self.model)
        return replace(
            recipe,
            stream=stream,
            width_multiplier=WIDTH,
            steps=steps,
            evaluate_every=steps,
        )

    def _complexity(self) -> Complexity:
        """Counts all its networks for one window."""
        recipes = [self.recipe(stream) for stream in self.streams]
        shapes = {
            stream: recipe.clip_shape(stream, recipe.test_frames)
            for recipe in recipes
            for stream in recipe.streams
        }
        return architecture_complexity(self.name, shapes, len(STICK_LABELS), WIDTH)


@dataclass(frozen=True)
class ComparisonRow:
    """Accuracies of one architecture.

    Attributes:
        entry: The architecture.
        initialization: Weights from which it was trained, one of `INITIALIZATIONS`.
        accuracy: "rgb", "flow" and "joint", as far as it has them, to top-1 accuracies in [0, 1],
            one a seed.
    """

    entry: Entry
    initialization: str
    accuracy: dict[str, list[float]] = field(default_factory=dict)


ENTRIES = (
    Entry("a", "convnet_lstm", "convnet_lstm"),
    Entry("b", "c3d", "c3d", initializations=(SCRATCH,)),
    Entry("c", "two_stream", "two_stream"),
    Entry("d", "fused_3d", "fused_3d"),
    Entry("e", "two_stream_i3d", I3D_MODEL),
)
