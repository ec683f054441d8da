import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fitloop.body import Detections
from fitloop.detection import BadKeypoints, DetectionReport
from fitloop.geometry import concatenate
from fitloop.pipelines import adapt as program
from fitloop.pipelines.adapt import AdaptConfig, before_and_after, complete, gather
from fitloop.pipelines.spin.report import Epoch

spec = importlib.util.spec_from_file_location("spin_toy", Path(__file__).parents[1] / "spin_toy.py")
toy = importlib.util.module_from_spec(spec)  # pyright: ignore[reportArgumentType]
spec.loader.exec_module(toy)


class ToyDetector:
    """Finds the stick figures that the photos are named after, and in each photo a person too small to learn from."""

    name, convention = "toy", "spin24"

    def __init__(self, dataset):
        self.found = {name: row for row, name in enumerate(dataset.image_names)}
        self.detections = dataset.detections(with_openpose=False)

    def __call__(self, image):
        if image.name not in self.found:
            return self.detections[:0]
        row = self.found[image.name]
        real = self.detections[row : row + 1]
        tiny = dataclasses.replace(real, boxes=torch.tensor([[0.0, 0.0, 9.0, 9.0]]))
        pairs = (torch.cat([a, b]) for a, b in ((real.keypoints, tiny.keypoints), (real.confidence, tiny.confidence)))
        return Detections(*pairs, torch.cat([real.boxes, tiny.boxes]), real.convention)  # pyright: ignore[reportCallIssue]

    def detect_with_notices(self, image):
        return DetectionReport(self(image))


@pytest.fixture
def photos(tmp_path):
    """Twelve photos of one stick figure each, one without anybody and a file that is none."""
    dataset = toy.people(12, 1, "toy")
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in (*dataset.image_names, "nobody.png"):
        Image.fromarray(np.zeros((480, 640, 3), np.uint8)).save(folder / name)
    (folder / "broken.jpg").write_bytes(b"no photo")
    return folder, ToyDetector(dataset)


def test_people_are_gathered_and_a_share_of_the_photos_kept_apart(photos, caplog):
    folder, detector = photos
    crowd, apart = gather(AdaptConfig(images=folder, held_out=0.25), toy.BODY, detector)
    assert (len(crowd), len(apart)) == (9, 3)
    assert not set(crowd.photos) & set(apart.photos)
    assert (crowd.samples.camera.focal == 800.0).all() and "broken.jpg" in caplog.text


def test_one_broken_keypoint_file_costs_its_own_photo(photos, monkeypatch, caplog):
    folder, detector = photos
    found = detector.detect_with_notices
    broken = sorted(detector.found)[0]

    def detect(image):
        if image.name == broken:
            raise BadKeypoints("It is not valid JSON.")
        return found(image)

    monkeypatch.setattr(detector, "detect_with_notices", detect)
    crowd, apart = gather(AdaptConfig(images=folder), toy.BODY, detector)
    assert len(crowd) + len(apart) == 11 and f"{broken} was left out" in caplog.text


def test_people_with_and_without_landmarks_and_silhouettes_go_together():
    plain = toy.people(3, 1, "toy").detections(with_openpose=False)
    rich = dataclasses.replace(
        plain,
        landmarks=torch.ones(3, 24, 3),
        landmark_confidence=torch.full((3, 24), 0.5),
        silhouettes=torch.ones(3, 128, 128),
        silhouette_boxes=plain.boxes,
    )
    both = concatenate([complete(plain), complete(rich)])
    assert both.landmark_confidence[:, 0].tolist() == [0.0] * 3 + [0.5] * 3
    assert both.silhouettes.flatten(1).amax(1).tolist() == [0.0] * 3 + [1.0] * 3


def test_a_folder_with_too_few_people_is_refused(photos):
    folder, detector = photos
    for number in range(9):
        (folder / f"{number}.jpg").unlink()
    with pytest.raises(ValueError, match="3 of them with a person .* at least 4 are needed"):
        gather(AdaptConfig(images=folder), toy.BODY, detector)


def test_a_folder_is_adapted_to_and_reported(photos, tmp_path, monkeypatch, capsys):
    folder, detector = photos
    monkeypatch.setattr(program, "choose_detector", lambda config: detector)
    monkeypatch.setattr(program, "load_body", lambda source: toy.BODY)
    options = ["--images", str(folder), "--out", str(tmp_path / "out"), "--epochs", "1", "--batch-size", "4"]
    assert program.main([*options, "--regressor", str(toy.network(tmp_path))]) == 0
    assert "2D error on photos kept apart" in capsys.readouterr().out
    weights = ("best.safetensors", "final.safetensors", "photos_fits.npy")
    for name in (*weights, "report.md", "report.html", "summary.md", "config.yaml"):
        assert (tmp_path / "out" / name).is_file(), name
    assert np.isfinite(np.load(tmp_path / "out" / "photos_fits.npy")).all()


def test_before_and_after_are_told_side_by_side():
    first, last = (Epoch(n, {"error_2d": e, "pose_prior": 30.0}, {}, {}, {}) for n, e in ((0, 20.0), (3, 15.5)))
    told = before_and_after([first, last], 40, 10)
    assert "| 2D error, pixels of a 224-pixel crop | 20.0 | 15.5 |" in told and "10 people" in told


def test_the_mean_pose_cannot_be_adapted(tmp_path):
    with pytest.raises(ValueError, match="cannot be adapted"):
        AdaptConfig(images=tmp_path, regressor="mean")


def test_new_fits_are_refined_before_they_teach_if_that_is_asked_for(photos, tmp_path, monkeypatch):
    folder, detector = photos
    asked = []

    class Refiner:
        def __init__(self, body):
            pass

        def __call__(self, fits, chosen, people, paths):
            asked.extend(path for path, one in zip(paths, chosen.tolist(), strict=True) if one)
            return fits, torch.zeros_like(chosen)

    monkeypatch.setattr("fitloop.pipelines.spin.loop.FitsRefiner", Refiner)
    monkeypatch.setattr(program, "choose_detector", lambda config: detector)
    monkeypatch.setattr(program, "load_body", lambda source: toy.BODY)
    options = {"epochs": 1, "batch_size": 4, "regressor": str(toy.network(tmp_path)), "refine": True}
    program.adapt(AdaptConfig(images=folder, out=tmp_path / "out", **options))
    assert asked and {path.parent for path in asked} == {folder}
