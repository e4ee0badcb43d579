"""A course's homework on the embedded dataset: single frames, an LSTM on features, both together.

A is a 2D network on single frames; a video has the sum of the log-probabilities of its frames. B is
an LSTM on features of the frames, from A itself or from another network. A+B adds their mean
log-probabilities. The homework does so on UCF-101, where A has 79 to 81 %, B 82 to 84 % and A+B 87
to 89 %.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from i3d_tf.evaluation.evaluate import EvaluateOptions, evaluate
from i3d_tf.evaluation.fuse_reports import Fusion, fuse_reports
from i3d_tf.evaluation.measure import TOP
from i3d_tf.evaluation.text import percent
from i3d_tf.experiments.make_stick_actions import make_stick_actions
from i3d_tf.features.extract_features import extract_feature_files
from i3d_tf.features.options import FeatureOptions, feature_config
from i3d_tf.specs.recipe import Recipe
from i3d_tf.specs.recipes import FEATURE_RECIPE, RECIPES, STICK_ACTIONS, for_model
from i3d_tf.specs.stick_actions import TEST_CLIPS, TRAIN_CLIPS
from i3d_tf.specs.validation import check_integer
from i3d_tf.system.console import print_lines
from i3d_tf.system.files import atomic_write, check_target
from i3d_tf.training.train import TrainOptions, train

FRAME_STEPS, SEQUENCE_STEPS = 480, 400
FRAMES_PER_VIDEO = 10  # of A at test time, spread evenly
EVALUATIONS = 4
WINDOW, STRIDE = 10, 3  # frames; A gets the middle one of a window
FRAME_ENDPOINT, CLIP_ENDPOINT = "AvgPool_0a_7x7", "Mixed_5c"
RESULT_FILE = "homework.md"
TITLES = {
    "a": "A: single frames, log-probabilities added",
    "b": "B: LSTM on features",
    "fused": "A+B: log-probabilities added",
}


@dataclass(frozen=True)
class HomeworkOptions:
    """The size of the homework.

    Attributes:
        output_dir: Folder of all output.
        network: Name of the network whose features B reads, an I3D; None is A itself.
        frame_steps: Updates of A.
        sequence_steps: Updates of B.
        train_clips: Training clips of each class.
        test_clips: Test clips of each class.
        width_multiplier: Scale of the numbers of filters of A and of units of B.
        seed: Seed of both trainings.
        checkpoint_dir: See `i3d_tf.zoo.resolve.checkpoint_dirs`.
    """

    output_dir: str
    network: str | None = None
    frame_steps: int = FRAME_STEPS
    sequence_steps: int = SEQUENCE_STEPS
    train_clips: int = TRAIN_CLIPS
    test_clips: int = TEST_CLIPS
    width_multiplier: float = 0.25
    seed: int = 0
    checkpoint_dir: str | None = None

    def __post_init__(self):
        for name in ("frame_steps", "sequence_steps", "train_clips", "test_clips"):
            check_integer(name, getattr(self, name), 1)
        if self.network is not None and Path(self.network).name != self.network:
            raise ValueError(f"`network` must be a name, not a path; received {self.network!r}.")


@dataclass(frozen=True)
class Homework:
    """The result.

    Attributes:
        fusion: The results of A, B and A+B.
        path: `homework.md`. Beside it are the features, B's training run and report, and the folder
            `fused` with the report of A+B, the gain of each class and three confusion matrices.
    """

    fusion: Fusion
    path: Path


def do_homework(options: HomeworkOptions) -> Homework:
    """Trains A and B, evaluates and fuses them, and writes `homework.md`.

    A stopped job goes on when it is run again. Runs with other networks share A.

    Raises:
        ValueError: An option or an earlier run in the folder does not fit.
        OSError: The folder cannot be written.
    """
    folder = Path(options.output_dir)
    of_network = folder / ("of_frames" if options.network is None else f"of_{options.network}")
    check_target(of_network / RESULT_FILE, _is_own)
    data_dir, frames = folder / "data", folder / "frames"
    make_stick_actions(data_dir, options.train_clips, options.test_clips)
    train(_frame_recipe(options), _train_options(options, data_dir, frames))
    features, sequence = of_network / "features", of_network / "lstm"
    extract_frame_features(options, data_dir / "videos", frames, features)
    of_features = dataclasses.replace(
        _train_options(options, data_dir, sequence), features=str(features)
    )
    train(_sequence_recipe(options), of_features)
    common = EvaluateOptions(STICK_ACTIONS, str(data_dir), "test", report_dir="")
    report_a, report_b = folder / "report_a", of_network / "report_b"
    evaluate(
        dataclasses.replace(
            common,
            rgb_checkpoint=str(frames),
            protocol={"windows": FRAMES_PER_VIDEO},
            batch_size=FRAMES_PER_VIDEO,
            report_dir=str(report_a),
        )
    )
    evaluate(
        dataclasses.replace(
            common,
            features=str(features),
            features_checkpoint=str(sequence),
            report_dir=str(report_b),
        )
    )
    fusion = fuse_reports(report_a, report_b, of_network / "fused")
    with atomic_write(of_network / RESULT_FILE) as temporary:
        temporary.write_text("\n".join(homework_lines(fusion)) + "\n", "utf-8")
    return Homework(fusion, of_network / RESULT_FILE)


def extract_frame_features(
    options: HomeworkOptions, videos: Path, frames: Path, output_dir: Path
) -> None:
    """Writes a feature file for each video.

    Args:
        options: See `HomeworkOptions`.
        videos: Folder of the videos.
        frames: Folder of A's training run.
        output_dir: Folder of the feature files.
    """
    if options.network is None:
        reference = str(frames)
        config = feature_config(FRAME_ENDPOINT, "mean", window=WINDOW, stride=STRIDE)
    else:
        reference, config = options.network, feature_config(CLIP_ENDPOINT)
    report = extract_feature_files(
        [videos],
        output_dir,
        FeatureOptions(
            config,
            "rgb",
            rgb_checkpoint=reference,
            checkpoint_dir=options.checkpoint_dir,
            batch_size=32,
        ),
    )
    print_lines(report.line())


def homework_lines(fusion: Fusion) -> list[str]:
    """Returns the results as Markdown."""
    videos = len(fusion.results["a"].predictions)
    lines = [
        f"{videos} test videos of {len(fusion.classes)} classes.",
        "",
        f"| | top-1 | top-{TOP} |",
        "| --- | ---: | ---: |",
    ]
    for name, title in TITLES.items():
        best = fusion.results[name].best
        lines.append(f"| {title} | {percent(best.top_1)} | {percent(best.top_5)} |")
    lines += ["", "```", *fusion.lines(), "```"]
    for name, title in TITLES.items():
        lines += ["", f"![{title}](fused/confusion_{name}.svg)"]
    return lines


def _frame_recipe(options) -> Recipe:
    recipe = for_model(RECIPES[STICK_ACTIONS], "two_stream")
    return dataclasses.replace(
        recipe,
        width_multiplier=options.width_multiplier,
        steps=options.frame_steps,
        batch_size=16,  # single frames are quick
        evaluate_every=max(1, options.frame_steps // EVALUATIONS),
    )


def _sequence_recipe(options) -> Recipe:
    return dataclasses.replace(
        RECIPES[FEATURE_RECIPE],
        dataset=STICK_ACTIONS,
        train_split="train",
        test_split="test",
        derived=(),
        width_multiplier=options.width_multiplier,
        batch_size=32,
        steps=options.sequence_steps,
        evaluate_every=max(1, options.sequence_steps // EVALUATIONS),
    )


def _train_options(options, data_dir, workdir) -> TrainOptions:
    return TrainOptions(data_dir=str(data_dir), workdir=str(workdir), seed=options.seed)


def _is_own(path):
    return f"| {TITLES['a']} |" in path.read_text("utf-8", "replace")
