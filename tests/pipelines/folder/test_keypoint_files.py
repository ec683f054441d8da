"""What the main job does with keypoint files that cannot be right: it stops before the first photo."""

import json

import numpy as np
import pytest
from PIL import Image

from fitloop.pipelines.regress_then_fit import main


def _result(image_id: object) -> dict:
    points = np.concatenate([np.linspace(5, 40, 34).reshape(17, 2), np.ones((17, 1))], -1)
    return {"image_id": image_id, "category_id": 1, "keypoints": points.ravel().tolist(), "score": 0.9}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "There is no keypoint file"),
        ("{", "not valid JSON"),
        ([], "names no photo and nobody"),
        ([_result(2)], "'2' fits 'cam1_0002.png' and 'cam2_0002.png'"),
        ([_result("other.png")], "lists none of the photos"),
    ],
)
def test_a_keypoint_file_that_is_wrong_as_a_whole_is_told_once_and_nothing_is_run(tmp_path, capsys, content, words):
    (tmp_path / "photos").mkdir()
    for name in ("cam1_0002.png", "cam2_0002.png"):
        Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(tmp_path / "photos" / name)
    keypoints = tmp_path / "keypoints.json"
    if content is not None:
        keypoints.write_text(content if isinstance(content, str) else json.dumps(content))
    code = main(["--images", str(tmp_path / "photos"), "--keypoints", str(keypoints), "--out", str(tmp_path / "out")])
    told = "".join(capsys.readouterr())
    assert code == 2 and told.count(words) == 1
    assert not list((tmp_path / "out").rglob("*.npz"))
