import numpy as np
import pytest

from i3d_tf.inference.predictor import Predictor
from i3d_tf.specs.stick_actions import DEMO
from i3d_tf.synthetic.clip import clip_seed, render_clip
from i3d_tf.video.encode import write_video
from i3d_tf.video.errors import VideoError
from i3d_tf.video.probe import probe
from i3d_tf.web.examples import example_video
from i3d_tf.web.jobs import Jobs
from i3d_tf.web.networks import NetworkShelf, offered_networks
from i3d_tf.web.uploads import Limits

RGB = "stick_actions_rgb"


@pytest.fixture(scope="module")
def jobs():
    return Jobs(NetworkShelf(offered_networks(), flow_engine="dis"), Limits(max_seconds=15))


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "open_door.mp4"
    write_video(path, render_clip("open_door", clip_seed(0, DEMO, "open_door", 0)))
    return path


@pytest.mark.slow
def test_sets_must_have_two_videos_that_can_be_read(jobs, clip, tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("text")
    with pytest.raises(ValueError, match=r"the second set has 1 .* text\.mp4: it is not a video"):
        jobs.compare_sets([clip, clip], [clip, text], RGB)
    with pytest.raises(ValueError, match="at most 64 are taken"):
        jobs.compare_sets([clip] * 65, [clip], RGB)


@pytest.mark.slow
def test_recognition_of_a_clip_is_that_of_the_predictor(jobs, clip):
    found = jobs.recognize(clip, RGB, top=3, with_clip=True, with_saliency=True)
    expected = Predictor("rgb", RGB).predict(clip, top=3)
    assert found.prediction.top == expected.top
    assert (found.prediction.path, found.window, found.note) == ("open_door.mp4", None, None)
    info = probe(found.clip)  # enlarged frames beside their flow
    assert (info.width, info.height) == (480, 240)
    assert found.explained_class == "open_door"
    info = probe(found.saliency)  # of the whole frames of 96 pixels
    assert (info.width, info.height, info.num_frames) == (288, 288, found.prediction.frames)


@pytest.mark.slow
def test_recognition_of_a_long_video_has_a_time_line(jobs, tmp_path):
    path = example_video("three actions one after the other", tmp_path)
    found = jobs.recognize(path, RGB, top=2)
    best = [window.top[0].label for window in found.prediction.timeline]
    assert (found.window, len(found.prediction.top)) == (16, 2)
    assert (best[0], best[-1]) == ("put_on_hat", "push_crate")
    with pytest.raises(VideoError, match="more than 3 s"):
        Jobs(jobs.shelf, Limits(max_seconds=3)).recognize(path, RGB)


@pytest.mark.slow
def test_playing_backwards_twice_is_playing_forwards(jobs, tmp_path):
    frames = render_clip("climb_up", clip_seed(0, DEMO, "climb_up", 0))[::3][:16]
    results = []
    for name, order in (("a.mp4", frames), ("b.mp4", frames[::-1])):
        write_video(tmp_path / name, order, 25 / 3)
        results.append(jobs.play_backwards(tmp_path / name, RGB, with_clips=True))
    assert [each.forwards.top[0].label for each in results] == ["climb_up", "climb_down"]
    assert [each.reversal for each in results] == ["climb_down", "climb_up"]
    assert results[0].backwards.top[0].label == results[1].forwards.top[0].label
    assert probe(results[0].backwards_clip).num_frames == 16
    assert results[0].motion.startswith(b"\xff\xd8")
    before, after = results[0].probabilities["climb_up"]
    assert before > 0.9
    assert after < 0.1


@pytest.mark.slow
def test_equal_sets_have_distance_0_and_noise_adds_to_it(jobs, tmp_path):
    generator, sets = np.random.default_rng(0), ([], [])
    for index in range(3):
        frames = render_clip("sit_down", clip_seed(1, DEMO, "sit_down", index), 64)
        noisy = np.clip(frames + generator.normal(0, 60, frames.shape), 0, 255).astype(np.uint8)
        for number, pictures in enumerate((frames, noisy)):
            sets[number].append(tmp_path / f"{number}_{index}.mp4")
            write_video(sets[number][-1], pictures)
    text = tmp_path / "text.mp4"
    text.write_text("text")
    same = jobs.compare_sets(sets[0], [*sets[0], text], RGB)
    assert same.result.fvd == pytest.approx(0, abs=1e-3)
    assert list(same.failures) == ["text.mp4"]
    assert jobs.compare_sets(*sets, RGB).result.fvd > 1
