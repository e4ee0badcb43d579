import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from i3d_tf.features import fvd as fvd_module
from i3d_tf.features.fvd import FvdOptions, FvdResult, frechet_video_distance, print_result
from i3d_tf.features.fvd_clips import FeatureNetwork
from i3d_tf.features.fvd_protocol import FORMER_PROTOCOL, clip_config
from i3d_tf.metrics.frechet import FeatureStatistics, Interval, frechet_distance
from i3d_tf.specs.stick_actions import DEMO, STICK_LABELS
from i3d_tf.synthetic.clip import clip_seed, render_clip

CONFIG = clip_config(FORMER_PROTOCOL, size=80)  # the side that this network was trained on
SMALL = clip_config(FORMER_PROTOCOL, frames=9, size=32)
STEP = 2  # of its clips' frames, so that 16 of them show most of an action


@pytest.fixture(scope="module")
def clips():
    """Two rendered clips of every action, seen by no network before."""
    rendered = (
        render_clip(action, clip_seed(0, DEMO, action, index), size=64)[: 16 * STEP : STEP]
        for index in range(2)
        for action in STICK_LABELS
    )
    return np.stack(list(rendered))


@pytest.fixture(scope="module")
def network(repository_root):
    """The network that ships, opened once."""
    return FeatureNetwork("stick_actions_rgb", repository_root / "checkpoints", CONFIG)


@pytest.fixture
def write(tmp_path):
    """Function: (name, clips) -> the path of a file of these clips."""

    def write_clips(name, array):
        np.save(tmp_path / f"{name}.npy", array)
        return str(tmp_path / f"{name}.npy")

    return write_clips


@pytest.fixture
def compare(network, monkeypatch):
    """Function: (real, generated, options) -> the result with the network that ships."""
    monkeypatch.setattr(fvd_module, "FeatureNetwork", lambda *arguments: network)

    def compute(real, generated, **options):
        return frechet_video_distance(
            FvdOptions((str(real),), (str(generated),), config=CONFIG, batch_size=12, **options)
        )

    return compute


def noisy(clips, deviation):
    noise = deviation * np.random.default_rng(0).standard_normal(clips.shape, np.float32)
    return np.clip(np.rint(clips + noise), 0, 255).astype(np.uint8)


def blurred(clips, deviation):
    return np.array([[cv2.GaussianBlur(frame, (0, 0), deviation) for frame in c] for c in clips])


def shuffled(clips, moved):
    """So many frames of each clip change places with each other."""
    generator, mixed = np.random.default_rng(0), clips.copy()
    for clip, source in zip(mixed, clips, strict=True):
        chosen = generator.permutation(len(clip))[:moved]
        clip[np.sort(chosen)] = source[chosen]
    return mixed


def squares(clips):
    """Clips as the network sees them: 80 x 80 pixels."""
    return np.array([[cv2.resize(frame, (80, 80)) for frame in clip] for clip in clips])


@pytest.mark.parametrize(
    ("change", "strengths"),
    [(noisy, (10, 30, 90)), (blurred, (1, 2, 4)), (shuffled, (4, 8, 16))],
)
def test_distance_grows_with_distortion(network, clips, change, strengths):
    sets = [clips[:12], *(change(clips[:12], strength) for strength in strengths)]
    real, *changed = (FeatureStatistics.of(network(squares(part))) for part in sets)
    distances = [frechet_distance(real, statistics) for statistics in changed]
    assert distances[0] > 0.01
    assert distances[0] * 1.5 < distances[1]
    assert distances[1] * 1.5 < distances[2]


def test_distance_of_a_set_to_itself_is_zero(compare, write, clips):
    path = write("real", clips[:14])
    result = compare(path, path)
    assert 0 <= result.fvd <= 1e-6
    assert (result.real, result.generated, result.features) == (14, 14, 12)
    assert result.failures == []
    assert result.interval is None
    assert "14 samples, fewer than 2048" in result.warning


def test_distance_equals_a_direct_computation(compare, write, network, clips):
    real, changed = clips[:14], blurred(clips[:14], 2)
    a, b = network(squares(real)), network(squares(changed))
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real
    expected = np.sum((a.mean(0, float) - b.mean(0, float)) ** 2)
    expected += np.trace(first + second) - 2 * roots.sum()
    result = compare(write("real", real), write("generated", changed))
    # Batches of another size: float32's 1e-7, some times over, of variances as large as the result.
    assert result.fvd == pytest.approx(expected, rel=1e-4)


def test_kernel_distance_is_that_of_the_features(compare, write, network, clips):
    real, changed = clips[:14], blurred(clips[:14], 2)
    a, b = network(squares(real)).astype(float), network(squares(changed)).astype(float)
    within = [
        (kernel.sum() - np.trace(kernel)) / (14 * 13) for kernel in (cubic(a, a), cubic(b, b))
    ]
    expected = sum(within) - 2 * cubic(a, b).mean()
    result = compare(write("real", real), write("generated", changed), kvd=True)
    # Batches of another size: float32's 1e-7, of sums as large as the kernel's.
    assert result.kvd == pytest.approx(expected, abs=1e-5 * cubic(a, b).mean())
    assert f"KVD {result.kvd:.4f}" in result.lines()
    assert result.interval is None
    assert compare(write("real", real), write("generated", changed)).kvd is None


def cubic(a, b):
    """Returns (x . y / D + 1)^3 of all pairs."""
    return (a @ b.T / a.shape[1] + 1) ** 3


def test_halves_of_a_set_are_near_each_other(compare, write, clips):
    # Both halves have all actions, with other people in other places.
    first, second = write("first", clips[:12]), write("second", clips[12:])
    halves = compare(first, second, interval=True)
    assert halves.interval_of == "both"
    assert halves.interval.low <= halves.fvd <= halves.interval.high
    other = compare(first, write("other", blurred(clips[12:], 6)), interval=True)
    assert halves.fvd * 3 < other.fvd
    assert halves.interval.high < other.fvd
    assert "below 13 the covariance is singular" in halves.warning


def test_saved_statistics_give_the_distance_of_their_videos(compare, write, clips, tmp_path):
    real, generated = write("real", clips[:14]), write("generated", noisy(clips[:14], 60))
    path = tmp_path / "statistics.npz"
    from_videos = compare(real, generated, save_statistics=str(path))
    again = compare(path, generated, interval=True)
    assert again.fvd == pytest.approx(from_videos.fvd, rel=1e-9)
    assert (again.real, again.generated, again.interval_of) == (14, 14, "generated")
    assert again.interval.low < again.fvd < again.interval.high
    assert compare(path, path).fvd <= 1e-6


class Levels:
    """A network with the first and the last grey level of a clip as features."""

    def __init__(self, checkpoint, checkpoint_dir, config):
        self.config = config
        self.metadata = {
            "weights": checkpoint,
            "weights_sha256": f"hash of {checkpoint}",
            **config.metadata(),
        }

    def __call__(self, clips):
        return clips[:, [0, -1]].mean((2, 3, 4)).astype(np.float32)


@pytest.fixture
def quick(monkeypatch):
    """Function: (real, generated, options) -> the result without a real network."""
    monkeypatch.setattr(fvd_module, "FeatureNetwork", Levels)

    def compute(real, generated=(), **options):
        sources = ((str(s) for s in part) for part in (real, generated))
        return frechet_video_distance(
            FvdOptions(*map(tuple, sources), **{"config": SMALL, **options})
        )

    return compute


@pytest.fixture
def grey(write):
    """A file of five grey clips; clip k has the level 10 k."""
    levels = np.arange(0, 50, 10, np.uint8)
    return write("grey", np.broadcast_to(levels[:, None, None, None, None], (5, 9, 32, 32, 3)))


def test_statistics_are_saved_without_generated_videos(quick, grey, tmp_path):
    path = tmp_path / "new.npz"
    result = quick([grey, tmp_path / "missing.mp4"], save_statistics=path)
    assert (result.fvd, result.real, result.generated) == (None, 5, 0)
    assert result.failures == [
        {"set": "real", "path": str(tmp_path / "missing.mp4"), "error": "no such file or directory"}
    ]
    statistics = FeatureStatistics.load(path)
    np.testing.assert_allclose(statistics.mean, [20, 20])
    np.testing.assert_allclose(
        statistics.covariance, np.full((2, 2), 250)
    )  # (2 x 400 + 2 x 100) / 4
    assert statistics.metadata["skipped"] == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["grey.npy", "new.npz"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"config": replace(SMALL, frames=16)}, "frames 9 instead of 16"),
        ({"config": replace(SMALL, frame_rate=25.0)}, "frame_rate None instead of 25.0"),
        (
            {"config": replace(SMALL, size=64)},
            "resize '32 x 32, bilinear, aspect not kept'",
        ),
        ({"config": replace(SMALL, features="pooled")}, "features 'logits' instead of 'pooled'"),
        (
            {"config": clip_config("original", frames=9, size=32)},
            "protocol 'version_0_1' instead of 'original'",
        ),
        (
            {"checkpoint": "other"},
            "weights_sha256 'hash of rgb_scratch' instead of 'hash of other'",
        ),
    ],
)
def test_statistics_of_other_features_are_refused(quick, grey, tmp_path, options, said):
    path = tmp_path / "a.npz"
    quick([grey], save_statistics=path)
    for sets in (([path], [grey]), ([grey], [path])):
        with pytest.raises(ValueError, match="these statistics are of other features") as raised:
            quick(*sets, **options)
        assert str(raised.value).startswith(f"{path}: ")
        assert said in str(raised.value)


def test_statistics_fit_both_covariances(quick, grey, write, tmp_path):
    quick([grey], save_statistics=tmp_path / "a.npz")
    other = write("other", np.full((5, 9, 32, 32, 3), 20, np.uint8))
    biased = quick([tmp_path / "a.npz"], [other], config=replace(SMALL, covariance="biased"))
    unbiased = quick([tmp_path / "a.npz"], [other])
    # Equal means, and variance on one side alone: the distance is its trace, 2 x 250 and 4/5 of it.
    assert (unbiased.fvd, biased.fvd) == (pytest.approx(500), pytest.approx(400))
    assert (unbiased.protocol["overrides"], biased.protocol["overrides"]) == (
        {"frames": 9, "size": 32},
        {"frames": 9, "size": 32, "covariance": "biased"},
    )


def test_all_frames_must_be_as_many_in_both_sets(quick, grey, write, tmp_path):
    config = clip_config("original", size=32)
    longer = write("longer", np.zeros((5, 12, 32, 32, 3), np.uint8))
    result = quick([grey], [grey, longer], config=config)
    assert result.protocol["frames"] == 9
    assert result.protocol["overrides"] == {"size": 32}
    assert result.failures == [
        {
            "set": "generated",
            "path": longer,
            "error": "it has more than the 9 frames of the first video; give --frames to take as "
            "many of each",
        }
    ]
    quick([longer], save_statistics=tmp_path / "a.npz", config=config)
    with pytest.raises(ValueError, match=r"--generated: 0 videos could be read"):
        quick([tmp_path / "a.npz"], [grey], config=config)


def test_statistics_of_the_same_network_under_another_name_are_taken(
    quick, grey, tmp_path, monkeypatch
):
    quick([grey], save_statistics=tmp_path / "a.npz")

    class Renamed(Levels):
        def __init__(self, checkpoint, checkpoint_dir, config):
            super().__init__(checkpoint, checkpoint_dir, config)
            self.metadata["weights"] = "runs/copy"

    monkeypatch.setattr(fvd_module, "FeatureNetwork", Renamed)
    assert quick([tmp_path / "a.npz"], [grey]).fvd <= 1e-6


def test_sets_that_cannot_be_compared_are_refused(quick, grey, write, tmp_path):
    statistics = tmp_path / "a.npz"
    quick([grey], save_statistics=statistics)
    one = write("one", np.zeros((1, 9, 32, 32, 3), np.uint8))
    with pytest.raises(ValueError, match=r"--generated: 1 videos could .* At least 2 are needed\."):
        quick([grey], [one])
    with pytest.raises(ValueError, match="At least 4 are needed for an interval"):
        quick([one, one.replace("one", "none")], [grey], interval=True)
    with pytest.raises(ValueError, match=r"is a file of statistics\. Name no other file"):
        quick([statistics, grey], [grey])
    with pytest.raises(ValueError, match="--interval needs the videos of one set"):
        quick([statistics], [statistics], interval=True)
    with pytest.raises(ValueError, match=r"--kvd .*a\.npz has .* Name the real videos"):
        quick([statistics], [grey], kvd=True)
    with pytest.raises(ValueError, match=r"--kvd .*a\.npz has .* Name the generated videos"):
        quick([grey], [statistics], kvd=True)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("new.txt", r"new\.txt: is no file name that ends in \.npz"),
        ("folder.npz", r"folder\.npz: is no file name"),
        ("missing/a.npz", "missing: a file of .* cannot be written there"),
    ],
)
def test_save_statistics_is_checked_before_anything_is_read(
    quick, grey, tmp_path, monkeypatch, target, message
):
    (tmp_path / "folder.npz").mkdir()
    monkeypatch.setattr(fvd_module, "gather_features", None)
    with pytest.raises((ValueError, OSError), match=message):
        quick([grey], save_statistics=tmp_path / target)


def test_statistics_are_not_saved_of_statistics(quick, grey, tmp_path):
    quick([grey], save_statistics=tmp_path / "a.npz")
    with pytest.raises(ValueError, match="--real is a file of statistics already"):
        quick([tmp_path / "a.npz"], [grey], save_statistics=tmp_path / "b.npz")


def test_full_disk_leaves_the_old_statistics(quick, grey, tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    quick([grey], save_statistics=path)
    old = path.read_bytes()

    def save(self, file):
        file.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FeatureStatistics, "save", save)
    with pytest.raises(OSError, match="No space"):
        quick([grey], save_statistics=path)
    assert path.read_bytes() == old
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npz", "grey.npy"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"real": ()}, "--real is missing"),
        ({"real": ("a",)}, "Give --generated, --save_statistics, or both"),
        ({"real": ("a",), "save_statistics": "a.npz", "kvd": True}, "Give --generated, too"),
        (
            {"real": ("a",), "generated": ("b",), "batch_size": 0},
            "`batch_size` must be an integer >= 1",
        ),
        ({"real": ("a",), "generated": ("b",), "confidence": 1.0}, r"`confidence` must be within"),
    ],
)
def test_fvd_options_name_bad_values(arguments, message):
    with pytest.raises(ValueError, match=message):
        FvdOptions(**arguments)


RESULT = FvdResult(
    fvd=12.34567,
    real=30,
    generated=20,
    features=400,
    protocol={
        "weights": "rgb_imagenet",
        "features": "logits",
        "frames": 16,
        "frame_rate": None,
        "resize": "224 x 224, bilinear, aspect not kept",
        "protocol": "version_0_1",
        "covariance": "unbiased",
        "overrides": {"frames": 16, "frame_step": 2},
    },
    interval=Interval(10.0, 15.5, 0.95, 100),
    interval_of="generated",
    warning="too few",
    failures=[{"set": "real", "path": "a.mp4", "error": "it is empty"}],
)


def test_print_result_for_people(capsys):
    assert print_result(RESULT) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "FVD 12.3457",
        "  95% interval 10.0000 to 15.5000 (100 halves of the generated videos only)",
        "  30 real videos, 20 generated; 16 frames, 224 x 224, bilinear, aspect not kept",
        "  rgb_imagenet, 400 features (logits)",
        "  protocol version_0_1, but frames 16, frame_step 2",
    ]
    assert err.splitlines() == ["warning: too few", "1 failed and were left out"]


def test_print_result_as_json(capsys):
    assert print_result(RESULT, as_json=True) == 1
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert (record["fvd"], record["real"], record["generated"]) == (12.34567, 30, 20)
    assert record["interval"] == {
        "low": 10.0,
        "high": 15.5,
        "confidence": 0.95,
        "repeats": 100,
        "of": "generated",
    }
    assert record["warning"] == "too few"
    assert record["failures"] == RESULT.failures
    assert err == ""


@pytest.mark.parametrize("name", ["clips.npz", "./clips.npz", "link.npz", "other.npz"])
def test_statistics_replace_neither_clips_nor_other_files(quick, tmp_path, monkeypatch, name):
    np.savez(tmp_path / "clips.npz", np.zeros((2, 9, 32, 32, 3), np.uint8))
    np.savez(tmp_path / "other.npz", mean=np.zeros(3))
    (tmp_path / "link.npz").symlink_to(tmp_path / "clips.npz")
    monkeypatch.setattr(fvd_module, "gather_features", None)
    before = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    message = "exists already and was not" if name == "other.npz" else "this command reads it"
    with pytest.raises(FileExistsError, match=rf"\.npz: {message}"):
        quick([tmp_path / "clips.npz"], save_statistics=f"{tmp_path}/{name}")
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == before


def test_statistics_that_are_compared_with_are_not_replaced(quick, grey, tmp_path):
    quick([grey], save_statistics=tmp_path / "a.npz")
    with pytest.raises(FileExistsError, match=r"a\.npz: this command reads it"):
        quick([grey], [tmp_path / "a.npz"], save_statistics=tmp_path / "a.npz")
