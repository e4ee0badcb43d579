"""The networks of a comparison, as they are trained on the embedded dataset."""

from dataclasses import dataclass, field, replace
from functools import cache

from i3d_tf.specs.architectures import ARCHITECTURES, Architecture
from i3d_tf.specs.complexity import Complexity, architecture_complexity
from i3d_tf.specs.further_networks import FURTHER_NETWORKS, FurtherNetwork
from i3d_tf.specs.protocol import clip_shape
from i3d_tf.specs.recipe import I3D_MODEL, TRAINED_STREAMS, Recipe
from i3d_tf.specs.recipes import RECIPES, STICK_ACTIONS, for_model
from i3d_tf.specs.stick_actions import STICK_LABELS
from i3d_tf.specs.validation import check_choice

SCRATCH = "scratch"  # random weights
FROM_2D_WEIGHTS = "images"  # weights of a network that sees single frames
INITIALIZATIONS = (SCRATCH, FROM_2D_WEIGHTS)
SOURCE_OF_2D_WEIGHTS = "two_stream"  # the entry whose RGB network sees single frames
SEEDS = 2
WIDTH = 0.25  # of every network: so narrow that the table takes about an hour on two cores
STEPS = 480  # of every training, of 8 clips each
PAPER, ALL = "paper", "all"  # the five of the paper; these and all others
WITH_FLOW = ("two_stream_2014", "tsn")  # of the others, those that were published as two streams


@dataclass(frozen=True)
class Entry:
    """One architecture of the comparison.

    Attributes:
        letter: The paper's, figure 2; of the other networks a number.
        name: Name of the architecture.
        model: Name of the trained model, one of `TRAINED_STREAMS`.
        initializations: Weights from which it is trained; C3D has no 2D counterpart.
    """

    letter: str
    name: str
    model: str
    initializations: tuple[str, ...] = INITIALIZATIONS

    @property
    def architecture(self) -> Architecture | FurtherNetwork:
        """The architecture as its paper describes it."""
        return FURTHER_NETWORKS.get(self.name) or ARCHITECTURES[self.name]

    @property
    def streams(self) -> tuple[str, ...]:
        """Streams that are trained, one network each."""
        if self.name in FURTHER_NETWORKS and self.name not in WITH_FLOW:
            return ("rgb",)
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
        if self.name in FURTHER_NETWORKS:
            first, *others = map(_network_complexity, recipes)
            return sum(others, first)
        shapes = {
            stream: recipe.clip_shape(stream, recipe.test_frames)
            for recipe in recipes
            for stream in recipe.streams
        }
        return architecture_complexity(self.name, shapes, len(STICK_LABELS), WIDTH)


@cache
def _network_complexity(recipe):
    """Counts a network as it is built; the paper's are counted from their tables."""
    import keras

    from i3d_tf.models.multiply_adds import count_multiply_adds
    from i3d_tf.training.model import build_model

    model = build_model(recipe, len(STICK_LABELS))
    shape = clip_shape(
        recipe.stream,
        recipe.test_frames,
        recipe.rgb_step,
        recipe.crop_size,
        recipe.protocol.segments,
    )
    sized = keras.models.clone_model(model, input_tensors=keras.Input(shape))
    return Complexity(model.count_params(), count_multiply_adds(sized))


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
FURTHER_ENTRIES = tuple(
    Entry(str(number), name, name, initializations=(SCRATCH,))
    for number, name in enumerate(FURTHER_NETWORKS, 1)
)


def select_entries(networks: str = PAPER) -> tuple[Entry, ...]:
    """Returns the entries of a comparison.

    Args:
        networks: "paper" for its five, each from every initialization; "all" for these and all
            others, from random weights; or names with commas between.

    Raises:
        ValueError: A name is unknown.
    """
    if networks == PAPER:
        return ENTRIES
    from_scratch = [replace(entry, initializations=(SCRATCH,)) for entry in ENTRIES]
    entries = {entry.name: entry for entry in (*from_scratch, *FURTHER_ENTRIES)}
    if networks == ALL:
        return tuple(entries.values())
    names = [name.strip() for name in networks.split(",")]
    for name in names:
        check_choice("networks", name, (PAPER, ALL, *entries))
    return tuple(entry for name, entry in entries.items() if name in names)
