"""``--device``: one word moves the whole chain."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from fitting_scenes import see
from PIL import Image as PillowImage
from pretend import PRETEND
from refinement_scenes import BODY, SIZE, photograph, standing

from fitloop.body import Image
from fitloop.detection import DetectionReport
from fitloop.geometry import camera_of
from fitloop.pipelines.chain.config import StagesConfig
from fitloop.pipelines.chain.refining import make_refiner
from fitloop.pipelines.console.devices import open_device
from fitloop.pipelines.regress_then_fit import Stages, main, predict
from fitloop.refinement import DisplacementNet
from fitloop.refinement.network import NetworkConfig

TRUTH = standing((-0.3, 0.1, 3.0))


class ToyDetector:
    """Always sees the same person, on the CPU as every detector does."""

    name, convention = "toy", "coco17"

    def detect_with_notices(self, image: Image) -> DetectionReport:
        del image
        photo = photograph(TRUTH)
        seen = replace(see(BODY, TRUTH), silhouettes=photo.silhouettes, silhouette_boxes=photo.silhouette_boxes)
        return DetectionReport(seen)


def test_the_whole_chain_runs_on_the_device_that_is_asked_for(pretend_device):
    config = StagesConfig(device=str(PRETEND), refine=True, offsets=True)
    stages = Stages(config)
    stages.__dict__["detector"] = ToyDetector()
    network = DisplacementNet(NetworkConfig((8, 8, 8), (1, 1, 1))).eval().requires_grad_(False)
    stages.refinement.__dict__["refiner"] = make_refiner(stages.body, network=network)
    image = Image(photograph(TRUTH).pixels.numpy(), camera_of(SIZE[1], SIZE[0]), "a.jpg")
    people = predict(image, stages)
    assert people.fitted is not None and people.refined is not None and people.offsets is not None
    for stage in (people.detections.keypoints, people.regressed.params.betas, people.fitted.energy):
        assert stage.device == PRETEND
    assert people.refined.reason.device == people.offsets.rest.device == PRETEND
    arrays = people.to_arrays()
    apart = arrays["joints_3d"][0] - BODY(TRUTH.params).joints[0].numpy()
    assert np.linalg.norm(apart, axis=-1).mean() < 0.3 and arrays["refined_offsets"].shape == (1, len(BODY.template), 3)


@pytest.mark.parametrize("regressor", ["keypoints", "mean"])
def test_the_program_writes_everything_from_another_device(pretend_device, tmp_path, regressor):
    photo = photograph(TRUTH)
    (tmp_path / "photos").mkdir()
    PillowImage.fromarray(photo.pixels.numpy()).save(tmp_path / "photos" / "a.png")
    seen = see(BODY, TRUTH, "body25")
    points = torch.cat([seen.keypoints[0], seen.confidence[0, :, None]], 1).flatten().tolist()
    (tmp_path / "a_keypoints.json").write_text(json.dumps({"people": [{"pose_keypoints_2d": points}]}))
    found = []
    for name, device in {"there": str(PRETEND), "here": "cpu"}.items():
        options = ["--images", str(tmp_path / "photos"), "--keypoints", str(tmp_path / "a_keypoints.json")]
        # Refinement is the same work wherever the fit started.
        options += [] if regressor == "keypoints" else ["--no-refine"]
        assert main([*options, "--out", str(tmp_path / name), "--device", device, "--regressor", regressor]) == 0
        with np.load(tmp_path / name / "results" / "a.png.npz", allow_pickle=False) as arrays:
            found.append({key: arrays[key] for key in ("joints_3d", "energy", "status", "boxes")})
    for key in ("joints_3d", "energy", "boxes"):
        np.testing.assert_allclose(found[0][key], found[1][key], rtol=1e-3, atol=1e-3)
    written = [{p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*")} for n in ("there", "here")]
    assert written[0] == written[1]


def test_a_device_that_is_not_there_is_a_sentence(tmp_path, capsys):
    with pytest.raises(ValueError, match="must be cpu, cuda, cuda:1 or the like, got 'gpu'"):
        open_device("gpu")
    if torch.cuda.is_available():
        pytest.skip("There is a CUDA device.")
    (tmp_path / "photos").mkdir()
    PillowImage.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "photos" / "a.png")
    options = ["--images", str(tmp_path / "photos"), "--out", str(tmp_path / "out"), "--device", "cuda"]
    assert main([*options, "--regressor", "mean"]) == 2
    told = capsys.readouterr().err
    assert "no CUDA device" in told and "Traceback" not in told
