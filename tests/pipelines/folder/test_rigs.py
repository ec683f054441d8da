"""People of photos for animation programs, written by the main job."""

import numpy as np
import pytest
import torch
from gltf_reader import read
from PIL import Image as PillowImage
from stick_stages import BODY, StickStages

from fitloop.body import BodyParams
from fitloop.pipelines.folder.config import RunConfig
from fitloop.pipelines.folder.run import run_folder


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for name, people in {"two.png": 2, "nobody.png": 0}.items():
        pixels = np.zeros((48, 64, 3), np.uint8)
        pixels[0, 0, 0] = people
        PillowImage.fromarray(pixels).save(tmp_path / "photos" / name)
    return tmp_path


def test_everybody_gets_a_rigged_body_and_a_frame_of_bvh(folder):
    config = RunConfig(images=folder / "photos", out=folder / "out", outputs=("bvh", "rigged"))
    assert run_folder(config, StickStages) == 0
    with np.load(config.out / "results" / "two.png.npz", allow_pickle=False) as found:
        keys = ("global_orient", "body_pose", "betas", "transl")
        params = BodyParams(*(torch.from_numpy(found[key]).to(BODY.template.dtype) for key in keys))
    pelvis = BODY(params).joints[:, 0].float() * torch.tensor([1.0, -1.0, -1.0])
    for number in range(2):
        tree, _ = read(config.out / "rigged" / "two.png" / f"{number}.glb")
        assert [node["name"] for node in tree["nodes"][1:]] == list(BODY.joint_names) and "animations" in tree
        text = (config.out / "bvh" / "two.png" / f"{number}.bvh").read_text()
        numbers = [float(word) for word in text.splitlines()[-1].split()]
        assert "Frames: 1" in text and len(numbers) == 75
        np.testing.assert_allclose(numbers[:3], pelvis[number], atol=1e-4)
    assert not (config.out / "meshes").exists() and not (config.out / "bvh" / "nobody.png").exists()


def test_what_an_earlier_run_wrote_of_a_photo_goes_with_it(folder):
    config = RunConfig(images=folder / "photos", out=folder / "out", outputs=("bvh",))
    run_folder(config, StickStages)
    (config.out / "results" / "two.png.npz").unlink()
    (config.out / "bvh" / "two.png" / "7.bvh").write_text("of somebody who was there before")
    run_folder(config, StickStages)
    assert sorted(path.name for path in (config.out / "bvh" / "two.png").iterdir()) == ["0.bvh", "1.bvh"]
