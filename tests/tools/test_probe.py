import json


def test_probe_prints_text_or_json(numbered_frames, make_video, run_tool, tmp_path):
    folder = tmp_path / "vidéos [raw]"
    folder.mkdir()
    (folder / "a.mp4").write_bytes(make_video(numbered_frames(10)))
    status, out, err = run_tool("probe", folder)
    assert (status, out[0], err) == (0, str(folder / "a.mp4"), [])
    assert "none in 10 frames" in out[-1]
    (folder / "b.mp4").write_bytes(b"no video")
    status, out, err = run_tool("probe", "--json", "--noread", folder)
    records = [json.loads(line) for line in out]
    assert (status, err) == (1, [])
    assert [record["file"] for record in records] == [str(folder / f"{x}.mp4") for x in "ab"]
    assert records[0]["width"] == 144
    assert "not a video" in records[1]["error"]


def test_probe_needs_a_name(run_tool):
    status, out, err = run_tool("probe")
    assert (status, out, len(err)) == (1, [], 1)
