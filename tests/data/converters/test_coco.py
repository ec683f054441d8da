import json

import pytest
from converter_files import RNG, joint

from fitloop.body.keypoints import COCO_17
from fitloop.data import converters


@pytest.fixture
def coco(tmp_path):
    whole = RNG.integers(1, 300, (17, 3))
    whole[:, 2] = RNG.integers(1, 3, 17)
    whole[0] = 0
    partial = whole.copy()
    partial[COCO_17.index("left_knee")] = 0
    for year in ("2014", "2017"):
        content = {
            "images": [{"id": 7, "file_name": "COCO_7.jpg"}],
            "annotations": [
                {"image_id": 7, "bbox": [10, 20, 40, 100], "keypoints": points.ravel().tolist()}
                for points in (whole, partial)
            ],
        }
        path = tmp_path / "annotations" / f"person_keypoints_train{year}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return tmp_path, whole


@pytest.mark.parametrize("year", ["2014", "2017"])
def test_coco_keeps_people_with_all_limbs(coco, year):
    folder, whole = coco
    dataset = converters.convert_coco(folder, year)
    assert dataset.image_names == (f"train{year}/COCO_7.jpg",)
    assert dataset.centers.tolist() == [[30.0, 70.0]] and dataset.scales[0] == pytest.approx(0.6)
    assert joint(dataset, 0, "left_ear") == [*whole[COCO_17.index("left_ear"), :2], 1.0]
    assert joint(dataset, 0, "nose") == [0.0, 0.0, 0.0]


def test_truncated_coco_annotations_are_refused(coco):
    path = coco[0] / "annotations" / "person_keypoints_train2014.json"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(ValueError, match="is not valid JSON"):
        converters.convert_coco(coco[0])
