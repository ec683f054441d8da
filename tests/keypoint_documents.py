"""Keypoint files for tests: small photos, people, and the layouts they are written in."""

import json
from pathlib import Path

import numpy as np

from fitloop.body.keypoints import COCO_17
from fitloop.body.records import Image
from fitloop.geometry.cameras import camera_of

WIDTH, HEIGHT = 64, 48


def photo(name: str = "a.jpg", width: int = WIDTH, height: int = HEIGHT, orientation: int = 1) -> Image:
    return Image(np.zeros((height, width, 3), np.uint8), camera_of(width, height), name, orientation)


def points(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.uniform(5, 40, (count, 2)), rng.uniform(0.1, 1, (count, 1))], -1)


def openpose(*people: np.ndarray) -> dict:
    return {"version": 1.3, "people": [{"pose_keypoints_2d": p.ravel().tolist()} for p in people]}


def coco(*annotations: dict, **photo_fields) -> dict:
    return {
        "images": [{"id": 7, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT, **photo_fields}],
        "annotations": [{"id": i, "image_id": 7, "category_id": 1, **a} for i, a in enumerate(annotations)],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO_17.keypoints)}],
    }


def flat(count: int, seed: int = 0) -> list[float]:
    return points(count, seed).ravel().tolist()


def result(image_id: object, count: int = 17, seed: int = 0, **fields) -> dict:
    return {"image_id": image_id, "category_id": 1, "keypoints": flat(count, seed), "score": 0.9, **fields}


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path
