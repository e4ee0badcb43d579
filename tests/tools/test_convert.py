import pytest

from i3d_tf.specs import slim
from i3d_tf.specs.geometry import variable_shapes
from i3d_tf.specs.releases import DATA_FILE, INDEX_FILE, RELEASES
from i3d_tf.weights.store import find_weights


def test_convert_prints_the_path_of_the_weights(run_tool, released_checkpoint, tmp_path):
    output_dir = tmp_path / "with space"
    status, out, err = run_tool(
        "convert",
        "--release=rgb_imagenet",
        f"--source={released_checkpoint}/model.ckpt",
        f"--output_dir={output_dir}",
    )
    assert (status, err) == (0, [])
    path, row = find_weights("rgb_imagenet", output_dir)
    assert out == [str(path)]
    assert row["variables"] == 230


def test_convert_inflates_the_tf_slim_network(run_tool, values_for, write_v1_checkpoint, tmp_path):
    shapes = variable_shapes(slim.ROWS, 3, slim.CLASSES)
    values = values_for({slim.slim_name(path): shape for path, shape in shapes.items()})
    source = write_v1_checkpoint(tmp_path / "inception_v1.ckpt", values)
    status, out, err = run_tool(
        "convert",
        f"--release={slim.NAME}",
        f"--source={source}",
        f"--output_dir={tmp_path}",
        "--inflate",
    )
    assert (status, err) == (0, [])
    names = [f"{slim.NAME}_inflated_{stream}" for stream in ("rgb", "flow")]
    assert out == [str(find_weights(name, tmp_path)[0]) for name in names]


def test_convert_prints_one_line_for_a_bad_source_and_writes_no_file(
    run_tool, released_checkpoint, tmp_path
):
    source = tmp_path / "source"
    source.mkdir()
    (source / INDEX_FILE).write_bytes((released_checkpoint / INDEX_FILE).read_bytes())
    with open(released_checkpoint / DATA_FILE, "rb") as data:
        (source / DATA_FILE).write_bytes(data.read(10_000))
    status, out, err = run_tool(
        "convert",
        "--release=rgb_imagenet",
        f"--source={source}",
        f"--output_dir={tmp_path / 'out'}",
    )
    assert (status, out) == (1, [])
    assert err == [
        f"error: {source / DATA_FILE}: truncated: 10,000 bytes of the 50,818,176 in "
        f"{INDEX_FILE}. Download it again."
    ]
    assert not (tmp_path / "out").exists()


def test_convert_prints_one_line_for_a_missing_download(run_tool, tmp_path):
    (tmp_path / "mirror").mkdir()
    status, out, err = run_tool(
        "convert",
        "--release=rgb_scratch",
        "--download",
        f"--base_url={(tmp_path / 'mirror').as_uri()}",
        f"--output_dir={tmp_path / 'out'}",
    )
    assert (status, out, len(err)) == (1, [], 1)
    assert err[0].startswith("error: file://")
    assert "cannot be fetched" in err[0]
    assert "--source" in err[0]
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_converts_a_port_and_says_what_it_is(run_tool, port_files, tmp_path):
    source = port_files.old_state_dict(tmp_path / "anything")
    arguments = (f"--source={source}", "--name=mine", f"--output_dir={tmp_path}")
    status, out, err = run_tool("convert", *arguments)
    assert (status, err) == (0, [])
    assert out[0].startswith(f"{source}: an old PyTorch state dict with the names of pytorch-i3d")
    assert "no checksum" in out[1]
    assert out[2:] == [str(find_weights("mine", tmp_path)[0])]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--release=rgb_imagenet"], "needs either --source=DIR_OR_PREFIX or --download"),
        (["--release=rgb_imagenet", "--download", "x"], "unexpected arguments ['x']"),
        (["--name=mine"], "--name needs --source=FILE, and cannot be combined with"),
        (["--name=mine", "--source=none.pt"], "error: none.pt: no such file."),
        (["--release=rgb"], f"value should be one of <{'|'.join(RELEASES)}|slim_inception_v1>"),
        (["--source=x"], "Exactly one of (release, keras_application, name) must have a value"),
        (["--keras_application=VGG", "--inflate"], "`application` must be one of ('ConvNeXtBase'"),
    ],
)
def test_convert_prints_one_line_for_bad_flags(run_tool, arguments, said):
    status, out, err = run_tool("convert", *arguments)
    assert (status, out) == (1, [])
    assert said in "".join(err)
    assert len(err) <= 3
