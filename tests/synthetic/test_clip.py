import numpy as np
import pytest

from i3d_tf.specs.stick_actions import CLIP_FRAMES, STICK_ACTIONS, STICK_LABELS, stick_action
from i3d_tf.synthetic.clip import build_scene, clip_seed, draw_frame, render_clip

FORWARDS = [action for action in STICK_ACTIONS if not action.backwards]


def test_render_clip_returns_frames():
    clip = render_clip("pick_up", 0, size=64)
    assert clip.dtype == np.uint8
    assert clip.shape[1:] == (64, 64, 3)
    assert CLIP_FRAMES[0] <= len(clip) <= CLIP_FRAMES[1]


def test_render_clip_follows_its_seed():
    clip = render_clip("open_door", (1, 2, 3), size=64)
    np.testing.assert_array_equal(clip, render_clip("open_door", (1, 2, 3), size=64))
    other = render_clip("open_door", (1, 2, 4), size=64)
    assert clip.shape != other.shape or (clip != other).mean() > 0.5


@pytest.mark.parametrize("action", FORWARDS, ids=lambda action: action.name)
def test_reversed_action_is_the_clip_played_backwards(action):
    # With the time arrow of the surroundings flipped, which is random in every clip, the two clips
    # are the same frames in opposite order: no frame is likelier in one class than in the other.
    scene = build_scene(action.name, 5, size=64)
    reverse = build_scene(action.reversal, 5, size=64, flip_time_arrow=True)
    assert scene.num_frames == reverse.num_frames
    for name, track in scene.performance.joints.items():
        np.testing.assert_array_equal(reverse.performance.joints[name], track[::-1])
    for frame in range(scene.num_frames):
        other = reverse.num_frames - 1 - frame
        np.testing.assert_array_equal(draw_frame(scene, frame), draw_frame(reverse, other))


def test_time_arrow_is_a_fair_coin():
    changes = 0
    for seed in range(100):
        scene = build_scene("sit_down", seed, size=64)
        changes += scene.surroundings.scroll[-1, 0] > scene.surroundings.scroll[0, 0]
    assert 30 <= changes <= 70  # 4 standard deviations of 100 tosses are 20


def test_surroundings_are_independent_of_the_action():
    scenes = [build_scene(action, 9, size=64) for action in STICK_LABELS]
    for scene in scenes[1:]:
        np.testing.assert_array_equal(scene.surroundings.pan, scenes[0].surroundings.pan)
        np.testing.assert_array_equal(scene.surroundings.scroll, scenes[0].surroundings.scroll)
        np.testing.assert_array_equal(scene.surroundings.wall, scenes[0].surroundings.wall)
        assert scene.camera.mirror == scenes[0].camera.mirror
        assert scene.num_frames == scenes[0].num_frames


@pytest.mark.parametrize("action", FORWARDS, ids=lambda action: action.name)
def test_whole_action_is_in_the_picture(action):
    for index in range(20):
        scene = build_scene(action.name, clip_seed(0, "test", action.name, index), size=64)
        joints = np.stack(list(scene.performance.joints.values()), axis=1)
        pixels = scene.camera.project(joints)
        assert pixels.min() >= 0
        assert pixels.max() <= 63


TRAIN_SEEDS, TEST_SEEDS = range(1000, 1016), range(16)
TRIALS = 2 * len(FORWARDS) * len(TEST_SEEDS)
# By chance one half is correct; 4 standard deviations of 192 fair tosses are 0.144.
NEAR_CHANCE = 0.5 + 4 * np.sqrt(0.25 / TRIALS)


def small_picture(scene, frame):
    picture = draw_frame(scene, frame).astype(np.float32)
    return picture.reshape(16, 4, 16, 4, 3).mean(axis=(1, 3)).ravel()


def joint_positions(scene, frame):
    return np.ravel([track[frame] for track in scene.performance.joints.values()])


@pytest.fixture(scope="module")
def features():
    """Feature -> (class, seed) -> vector, of clips of every class."""
    found = {name: {} for name in ("picture", "pose", "first picture", "motion")}
    for name in STICK_LABELS:
        for seed in (*TRAIN_SEEDS, *TEST_SEEDS):
            scene = build_scene(name, seed, size=64)
            # Another time for each member: at the same one, a pair could differ only by the pose.
            rng = np.random.default_rng((seed, stick_action(name).backwards))
            frame = int(rng.integers(scene.num_frames))
            motion = joint_positions(scene, -1) - joint_positions(scene, 0)
            found["picture"][name, seed] = small_picture(scene, frame)
            found["pose"][name, seed] = joint_positions(scene, frame)
            found["first picture"][name, seed] = small_picture(scene, 0)
            found["motion"][name, seed] = motion
    return found


def accuracy_within_pairs(vectors):
    """Returns how often the nearest neighbor is of the same member of a pair."""
    correct = 0
    for action in FORWARDS:
        names = (action.name, action.reversal)
        known = [(name, seed) for seed in TRAIN_SEEDS for name in names]
        examples = np.stack([vectors[key] for key in known])
        for seed in TEST_SEEDS:
            for name in names:
                distances = ((examples - vectors[name, seed]) ** 2).sum(axis=1)
                correct += known[int(distances.argmin())][0] == name
    return correct / TRIALS


@pytest.mark.parametrize("feature", ["picture", "pose"])
def test_one_frame_does_not_distinguish_the_members_of_a_pair(features, feature):
    assert 1 - NEAR_CHANCE < accuracy_within_pairs(features[feature]) < NEAR_CHANCE


def test_first_frame_distinguishes_the_members_of_a_pair(features):
    # A person who is about to sit down stands: the classifier of single frames fails because it
    # does not know their time, not because it cannot see.
    assert accuracy_within_pairs(features["first picture"]) > NEAR_CHANCE


def test_motion_distinguishes_the_members_of_a_pair(features):
    assert accuracy_within_pairs(features["motion"]) == 1


def test_clip_seed_is_shared_only_by_the_members_of_a_pair():
    seeds = {
        (action.script, split, index): clip_seed(7, split, action.name, index)
        for action in STICK_ACTIONS
        for split in ("train", "test", "demo")
        for index in range(3)
    }
    assert len(set(seeds.values())) == len(seeds) == 6 * 3 * 3


def test_build_scene_keeps_the_numbers_of_this_revision():
    # A change of the numbers that a seed gives must raise REVISION, so that no folder mixes both.
    lengths = [build_scene("sit_down", seed, size=64).num_frames for seed in range(8)]
    assert lengths == [60, 44, 49, 57, 49, 48, 47, 50]
    hand = build_scene("climb_up", 1, size=64).performance.joints["hand_near"][20]
    np.testing.assert_allclose(hand, (0.340938, 1.12), atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("jump", 0), r"`action` must be one of .*received 'jump'"),
        (("sit_down", -1), r"`seed` must be an integer >= 0; received -1"),
        (("sit_down", (0, 0.5)), r"`seed` must be an integer >= 0; received 0.5"),
        (("sit_down", 0, 63), r"`size` must be an integer within 64..1024; received 63"),
        (("sit_down", 0, 10**9), r"`size` must be an integer within 64..1024; received 1000000000"),
        (("sit_down", 0, "128"), r"`size` must be an integer within 64..1024; received '128'"),
    ],
)
def test_render_clip_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        render_clip(*arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, "validation", "sit_down", 0), r"`split` must be one of .*received 'validation'"),
        ((0, "train", "jump", 0), r"`action` must be one of .*received 'jump'"),
        ((-1, "train", "sit_down", 0), r"`dataset_seed` must be an integer >= 0; received -1"),
        ((0, "train", "sit_down", None), r"`index` must be an integer >= 0; received None"),
    ],
)
def test_clip_seed_refuses_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        clip_seed(*arguments)
