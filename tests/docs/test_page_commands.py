"""The commands and programs of the pages in docs/, run one after the other on small networks."""

import base64
import contextlib
import dataclasses
import io
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from fixtures.pages import commands_of, programs_of

import i3d_tf
from i3d_tf.specs import recipes

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(own_dir, tmp_path, monkeypatch):
    """The working directory of a user with videos in `clips`, `more` and `my_videos`."""
    folder = tmp_path / "work"
    shutil.copytree(own_dir, folder / "my_videos")
    for name in ("clips", "more", "videos"):
        (folder / name).mkdir()
    for number in (1, 2):
        shutil.copy(own_dir / "left" / f"{number}.mp4", folder / "clips" / f"a b {number}.mp4")
    shutil.copy(own_dir / "up" / "1.mp4", folder / "videos" / "ü.mp4")
    shutil.copy(own_dir / "up" / "1.mp4", folder / "more" / "x.avi")
    shutil.copy(own_dir / "left" / "1.mp4", folder / "clip.mp4")
    shutil.copy(own_dir / "left" / "1.mp4", folder / "long.mp4")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def run_page(run_tool, repository_root, folder):
    """Function: (page, change, left out) -> the lines that its commands print, one list a command.

    `change` is a function of a tool and its arguments to the arguments that are given instead:
    networks that take milliseconds in the place of released ones.
    """

    def run(page, change, left_out=()):
        printed = []
        for tool, arguments in commands_of(repository_root / "docs" / page):
            if tool in left_out:
                continue
            status, out, err = run_tool(tool, *change(tool, arguments))
            assert status == 0, (tool, arguments, err)
            printed.append(out)
        return printed

    return run


def small(directory):
    """Returns a function (tool, arguments) -> arguments with networks of a checkpoint directory."""

    def change(tool, arguments):
        texts = [with_small_names(word) for word in arguments]
        if "--stream=joint" in texts or tool == "extract_features":  # which have the releases
            texts += ["--rgb_checkpoint=small_rgb", "--flow_checkpoint=small_flow"]
        return [f"--checkpoint_dir={directory}", *texts]

    return change


def with_small_names(word):
    for release in ("rgb_scratch", "rgb_imagenet", "flow_imagenet"):
        word = word.replace(release, f"small_{release.partition('_')[0]}")
    return word


def test_recognize(run_page, small_dir, folder, repository_root):
    printed = run_page("recognize.md", small(small_dir))
    assert printed[0][0].startswith("clip.mp4  (rgb, ")
    assert sum(line.endswith("s)") for line in printed[1]) == 3
    records = [json.loads(line) for line in printed[2]]
    assert [record["path"] for record in records] == [f"clips/a b {n}.mp4" for n in (1, 2)]
    assert len(list((folder / "predictions").glob("*.json"))) == 2
    assert any("2 done" in line for line in printed[4])
    assert len(list((folder / "labelled").glob("*.mp4"))) == 2
    assert (folder / "timelines" / "long_timeline.svg").is_file()
    assert "(joint, " in printed[7][0]
    (program,) = programs_of(repository_root / "docs" / "recognize.md")
    program = program.replace('"rgb_scratch"', f'"small_rgb", {str(small_dir)!r}')
    assert printed_by(program).count("\n") == 5


def printed_by(program):
    """Runs a program of a page in this process; returns what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(program, "program of a page", "exec"), {})
    return out.getvalue()


class Serving(BaseHTTPRequestHandler):
    """TensorFlow Serving's REST form (POST v1/models/NAME:predict) before one signature's model."""

    def do_POST(self):
        import tensorflow as tf

        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/models/i3d:predict"
        files = [base64.b64decode(each["b64"]) for each in request["inputs"]["frames"]]
        try:
            outputs = self.server.signatures[request["signature_name"]](frames=tf.constant(files))
        except tf.errors.InvalidArgumentError as error:
            self._answer(400, {"error": error.message})
        else:
            self._answer(200, {"outputs": {name: _plain(v) for name, v in outputs.items()}})

    def _answer(self, status, value):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(value).encode())

    def log_message(self, *_):
        pass


def _plain(values):
    values = values.numpy()
    return [v.decode() for v in values] if values.dtype == object else values.tolist()


def test_serving(run_page, small_dir, folder, repository_root):
    import tensorflow as tf

    run_page("serving.md", small(small_dir))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Serving)
    model = tf.saved_model.load(str(folder / "served" / "1"))
    server.signatures = model.signatures
    threading.Thread(target=server.serve_forever, daemon=True).start()
    (program,) = programs_of(repository_root / "docs" / "serving.md")
    assert '".jpg"' in program
    program = program.replace("127.0.0.1:8501", f"127.0.0.1:{server.server_port}")
    try:
        shown = printed_by(program.replace('".jpg"', '".png"'))
        with pytest.raises(OSError, match="400"):
            printed_by(program.replace("end=10.0", "end=0.2"))
    finally:
        server.shutdown()
        server.server_close()
    frames = i3d_tf.read_clip("clip.mp4", end=10.0)
    expected = model.signatures["classify"](frames=tf.constant(frames))
    labels = [label.decode() for label in expected["labels"].numpy()]
    lines = [line.split() for line in shown.splitlines()]
    assert [label for label, _ in lines] == labels
    probabilities = [float(probability) for _, probability in lines]
    np.testing.assert_allclose(probabilities, expected["probabilities"], atol=5.1e-5)


def test_features(run_page, small_dir, folder):
    # Maps need an extra; tests/explain/test_map_features.py makes one.
    run_page("features.md", small(small_dir), left_out=("map_features",))
    assert list((folder / "features").iterdir())


@pytest.fixture
def datasets(own_dir, folder):
    """UCF-101, Kinetics and Charades as they are published, of a few small videos."""
    texts = {
        "UCF/ucfTrainTestlist/classInd.txt": "1 Archery\n2 YoYo\n",
        "UCF/ucfTrainTestlist/trainlist01.txt": "Archery/v_Archery_g08_c01.avi 1\n"
        "YoYo/v_YoYo_g08_c01.avi 2\n",
        "UCF/ucfTrainTestlist/testlist01.txt": "Archery/v_Archery_g01_c01.avi\n",
        "kinetics/val.csv": "label,youtube_id,time_start,time_end,split\n"
        "archery,b_bbbbbbbbb,0,10,val\nzumba,ccccccccccc,5,15,val\n",
        **{
            f"Charades/{split}.csv": f"id,actions,length\n{name},c001 0.2 1.1;c156 0.5 1.5,1.6\n"
            for split, name in (("train", "AAAAA"), ("test", "BBBBB"))
        },
    }
    videos = [
        *("UCF/UCF-101/Archery/v_Archery_g08_c01.avi", "UCF/UCF-101/YoYo/v_YoYo_g08_c01.avi"),
        "UCF/UCF-101/Archery/v_Archery_g01_c01.avi",
        *("kinetics/b_bbbbbbbbb_000000_000010.mp4", "kinetics/ccccccccccc_000005_000015.mp4"),
        *("Charades/AAAAA.mp4", "Charades/BBBBB.mp4"),
    ]
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name in videos:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(own_dir / "left" / "1.mp4", folder / name)


@pytest.fixture
def small_recipes(tiny_recipe, eager_training, monkeypatch):
    """The recipes of docs/reproduce.md as two steps of small clips, by networks of this size."""
    names = ("train_frames", "test_frames", "short_side", "crop_size", "width_multiplier")
    changes = {name: getattr(tiny_recipe, name) for name in names}
    changes |= {"steps": 2, "evaluate_every": 2, "batch_size": 2, "test_frames": 16}
    changes |= {"train_frames": 16, "boundaries": (), "learning_rates": (0.01,)}
    changes |= {"schedule": "piecewise"}
    for name in ("ucf101", "charades_rgb"):
        recipe = dataclasses.replace(recipes.RECIPES[name], **changes)
        monkeypatch.setitem(recipes.RECIPES, name, recipe)


@pytest.fixture
def small_releases(random_weights, folder):
    """A checkpoint directory with narrow networks of Kinetics's classes for both streams."""
    from i3d_tf.models.inception import inception_i3d
    from i3d_tf.specs.labels import read_labels
    from i3d_tf.weights.store import save_weights

    for seed, (stream, channels) in enumerate((("rgb", 3), ("flow", 2))):
        model = inception_i3d(
            input_shape=(None, None, None, channels), classes=400, width_multiplier=1 / 16
        )
        row = {
            "stream": stream,
            "classes": 400,
            "labels": list(read_labels("kinetics400")),
            "width_multiplier": 1 / 16,
            "protocol": {"frames": 16, "short_side": 40, "crop_size": 32},
        }
        save_weights(random_weights(model, seed), f"small_{stream}", folder / "nets", row)
    return folder / "nets"


@pytest.mark.usefixtures("datasets", "small_recipes")
def test_reproduce(run_page, small_releases, folder, monkeypatch):
    from i3d_tf.features import fvd_self_check

    self_checks = []
    monkeypatch.setattr(
        fvd_self_check, "check_values", lambda *given: self_checks.append(given) or []
    )

    def change(tool, arguments):
        if tool == "fvd":
            return arguments
        texts = [with_small_names(word) for word in arguments]
        if tool == "train" and "--recipe=charades_rgb" in texts:
            texts.append("--init=small_rgb")
        return [f"--checkpoint_dir={small_releases}", *texts]

    run_page("reproduce.md", change)
    for name in ("report_kinetics", "report_ucf"):
        report = json.loads((folder / name / "report.json").read_text())
        assert report
    score = json.loads((folder / "scores" / "score.json").read_text())
    assert 0 <= score["mAP"] <= 1
    assert self_checks
