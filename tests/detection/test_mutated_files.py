"""Whatever is done to a keypoint file, it is read, or one clear sentence says why not."""

import copy
import gzip
import json
import os
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from keypoint_documents import coco, flat, openpose, photo, points, result

from fitloop.body.records import Detections
from fitloop.detection import BadKeypoints, KeypointFile
from fitloop.detection import files as program
from fitloop.detection.mediapipe import MediapipeDetector

EXAMPLES = int(os.environ.get("FITLOOP_MUTATIONS", "60"))
SEED = int(os.environ.get("FITLOOP_SEED", "0"))
NAMES = ("a.jpg", "x/b_0002.jpg")


class NoNetwork(MediapipeDetector):
    """Sees everybody in the middle of the box."""

    def in_boxes(self, image, boxes):
        people = len(boxes)
        middle = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None].expand(people, 33, 2)
        sure = torch.ones(people, 33)
        return Detections(middle, sure, boxes, "mediapipe33", torch.zeros(people, 33, 3), sure)


def _instance(number: int) -> dict[str, Any]:
    values = points(17, number)
    return {"keypoints": values[:, :2].tolist(), "keypoint_scores": values[:, 2].tolist(), "bbox": [[1, 2, 30, 40]]}


def _coco() -> dict[str, Any]:
    content = coco({"keypoints": flat(17), "bbox": [5, 5, 30, 40]}, {"bbox": [9, 5, 30, 40]})
    content["images"].append({"id": 2, "file_name": NAMES[1], "width": 64, "height": 48})
    content["annotations"].append({"id": 9, "image_id": 2, "category_id": 1, "iscrowd": 0, "keypoints": flat(17, 2)})
    return content


DOCUMENTS: dict[str, Any] = {
    "openpose": openpose(points(25), points(25, 1)),
    "coco": _coco(),
    "results": [result("a.jpg"), result("a.jpg", seed=1), result(2, bbox=[1, 2, 30, 40])],
    "halpe": [result("a.jpg", 26, box=[1, 2, 3, 4], idx=[0.0])],
    "alphapose": {"a.jpg": {"bodies": [{"joints": flat(18)}]}, NAMES[1]: openpose(points(18))},
    "mmpose": {"meta_info": {"dataset_name": "coco"}, "instance_info": [_instance(0), _instance(1)]},
    "frames": [{"frame_id": n, "instances": [_instance(n)]} for n in (1, 2)],
    "boxes": {"a.jpg": [[5, 5, 30, 40], [6, 6, 30, 40]], NAMES[1]: [[1, 2, 30, 40]]},
    "box": {"bbox": [5, 5, 30, 40]},
}
JUNK = st.one_of(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([10**400, -(10**30), 1e308, 1e18, 2.0]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=4)
    | st.sampled_from(["person", "nose", "a.jpg", "0", "2.0", "\ud800", "../..", "\\\\x\\a.jpg", "é"]),
    st.sampled_from(
        [[], {}, [[]], [[[]]], [None], [{}], {"name": 3}, [[1, 2, 3]], [0] * 51, ["nose"] * 17, [1.5] * 34]
    ),
)


def _paths(content: Any, above: tuple = ()) -> list[tuple]:
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [found for key, value in inside for found in [(*above, key), *_paths(value, (*above, key))]]


def _mutated(content: Any, path: tuple, change: str, junk: Any) -> Any:
    content = copy.deepcopy(content)
    place = content
    for key in path[:-1]:
        place = place[key]
    if change == "replace":
        place[path[-1]] = junk
    elif change == "delete":
        del place[path[-1]]
    elif isinstance(place, list):
        place.insert(path[-1], copy.deepcopy(place[path[-1]]))
    else:
        place[str(junk)[:9]] = place.pop(path[-1])
    return content


def read_all(path) -> tuple[int, list[str]]:
    """Read a file as a run does; the people of all photos, and everything that is told."""
    source = KeypointFile(path)
    source.expect(NAMES)
    people, told = 0, []
    for name in NAMES:
        try:
            report = source.detect_with_notices(photo(name))
            boxes = source.boxes_with_notices(photo(name))[0]
        except BadKeypoints as error:
            told.append(str(error))
            continue
        found = report.detections
        assert (
            torch.isfinite(found.keypoints).all()
            and torch.isfinite(found.boxes).all()
            and len(boxes) == len(found.boxes)
        )
        assert ((found.confidence >= 0) & (found.confidence <= 1)).all()
        people += len(found.boxes)
        told += report.notices
    assert all(sentence.endswith((".", ")")) and len(sentence) < 2000 for sentence in told), told
    return people, told


def _attempt(path, is_told_when_fewer_than: int = 0) -> None:
    try:
        people, told = read_all(path)
    except BadKeypoints as error:
        assert str(error).endswith(".") and len(str(error)) < 2000
        return
    assert people >= is_told_when_fewer_than or told


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    monkeypatch.setattr(program, "MediapipeDetector", NoNetwork)


_often = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@seed(SEED)
@_often
@given(data=st.data())
def test_mutated_content_gives_people_or_a_sentence(tmp_path, data):
    kind = data.draw(st.sampled_from(sorted(DOCUMENTS)))
    content = DOCUMENTS[kind]
    for _ in range(data.draw(st.integers(1, 3))):
        paths = _paths(content)
        if not paths:
            break
        path = data.draw(st.sampled_from(sorted(paths, key=len)[: len(paths)]))
        change = data.draw(st.sampled_from(["replace", "replace", "delete", "repeat"]))
        content = _mutated(content, path, change, data.draw(JUNK))
    (tmp_path / "a.json").write_text(json.dumps(content))
    _attempt(tmp_path / "a.json")


@seed(SEED)
@_often
@given(data=st.data())
def test_nobody_is_dropped_without_a_word(tmp_path, data):
    kind = data.draw(st.sampled_from(sorted(DOCUMENTS)))
    path = tmp_path / "a.json"
    path.write_text(json.dumps(DOCUMENTS[kind]))
    people = read_all(path)[0]
    entries = [found for found in _paths(DOCUMENTS[kind]) if len(found) >= 2 and isinstance(found[-1], (str, int))]
    content = _mutated(DOCUMENTS[kind], data.draw(st.sampled_from(entries)), "replace", data.draw(JUNK))
    path.write_text(json.dumps(content))
    _attempt(path, people)


@seed(SEED)
@_often
@given(data=st.data())
def test_mutated_bytes_give_people_or_a_sentence(tmp_path, data):
    kind = data.draw(st.sampled_from(sorted(DOCUMENTS)))
    content = bytearray(
        json.dumps(DOCUMENTS[kind]).encode(data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])))
    )
    if data.draw(st.booleans()):
        content = bytearray(gzip.compress(bytes(content), mtime=0))
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))]
    (tmp_path / "a.json").write_bytes(bytes(content))
    _attempt(tmp_path / "a.json")
