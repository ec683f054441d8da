import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from fitloop.body.keypoints import COCO_17
from fitloop.body.records import Image
from fitloop.detection import MmposeConfig, MmposeDetector, load_detector
from fitloop.detection.mmpose import torchvision_operators
from fitloop.detection.topdown import columns_of
from fitloop.geometry.cameras import camera_of

HALPE = [
    *(*COCO_17.keypoints, "head", "neck", "hip", "left_big_toe", "right_big_toe"),
    *("left_small_toe", "right_small_toe", "left_heel", "right_heel"),
]


class FakeApis(ModuleType):
    """The two functions of mmpose.apis with what they take and give in mmpose 1.3.2."""

    names: list[str]
    seen: dict

    def init_model(self, config, checkpoint=None, device="cuda:0", cfg_options=None):
        self.seen.update(config=config, checkpoint=checkpoint, device=device)
        id2name = dict(enumerate(self.names))
        meta = {"dataset_name": "fake", "num_keypoints": len(self.names), "keypoint_id2name": id2name}
        return SimpleNamespace(dataset_meta=meta)

    def inference_topdown(self, model, img, bboxes=None, bbox_format="xyxy"):
        self.seen.update(img=img, bboxes=bboxes)
        count = len(self.names)
        ramp = np.arange(count, dtype=np.float32)
        samples = []
        for box in bboxes:
            keypoints = (box[:2] + ramp[:, None])[None]
            scores = np.where(ramp == 0, 6.5, 0.25)[None].astype(np.float32)
            samples.append(SimpleNamespace(pred_instances=SimpleNamespace(keypoints=keypoints, keypoint_scores=scores)))
        return samples


@pytest.fixture
def apis(monkeypatch, tmp_path):
    fake = FakeApis("mmpose.apis")
    fake.names, fake.seen = list(COCO_17.keypoints), {}
    history = ModuleType("mmengine.logging.history_buffer")
    history.HistoryBuffer = type("HistoryBuffer", (), {})  # pyright: ignore[reportAttributeAccessIssue]
    parents = [ModuleType(name) for name in ("mmpose", "mmengine", "mmengine.logging", "torchvision")]
    for module in (*parents, fake, history):
        module.__spec__ = importlib.util.spec_from_loader(module.__name__, None)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    for name in ("config.py", "weights.pth"):
        (tmp_path / name).touch()
    (tmp_path / "boxes.json").write_text('{"a.jpg": [[5, 6, 20, 30], [7, 8, 20, 30]], "b.jpg": []}')
    return fake


def config(folder: Path) -> MmposeConfig:
    return MmposeConfig(str(folder / "config.py"), str(folder / "weights.pth"), boxes=str(folder / "boxes.json"))


def photo(name: str = "a.jpg") -> Image:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[..., 0] = 200
    return Image(pixels, camera_of(80, 60), name)


def test_the_users_model_sees_each_box_in_bgr(apis, tmp_path):
    detector = load_detector("mmpose", config(tmp_path))
    found = detector(photo())
    assert apis.seen["config"] == str(tmp_path / "config.py") and apis.seen["device"] == "cpu"
    assert apis.seen["img"][0, 0].tolist() == [0, 0, 200]
    assert apis.seen["bboxes"].tolist() == [[5, 6, 25, 36], [7, 8, 27, 38]]
    assert found.convention == detector.convention == "coco17"
    assert found.keypoints[1, 3].tolist() == [10.0, 11.0]


def test_scores_above_one_become_one(apis, tmp_path):
    confidence = MmposeDetector(config(tmp_path))(photo()).confidence
    assert confidence[0, 0] == 1.0 and (confidence[:, 1:] == 0.25).all()


def test_a_photo_without_boxes_has_no_people_and_an_unlisted_one_is_told(apis, tmp_path):
    detector = MmposeDetector(config(tmp_path))
    assert detector(photo("b.jpg")).keypoints.shape == (0, 17, 2)
    assert "c.jpg" in detector.detect_with_notices(photo("c.jpg")).notices[0]


def test_keypoints_are_matched_by_name(apis, tmp_path):
    apis.names = HALPE
    found = MmposeDetector(config(tmp_path))(photo())
    assert found.convention == "body25"
    # Halpe's neck is its keypoint 18 and its hip the middle of the hips, 19; BODY_25 has them at 1 and 8.
    assert found.keypoints[0, [1, 8], 0].tolist() == [5.0 + 18.0, 5.0 + 19.0]


def test_names_missing_from_the_network_are_not_observed():
    columns = columns_of([*COCO_17.keypoints, *(f"{s}_{t}" for s in ("left", "right") for t in ("big_toe", "heel"))])
    absent = [k for k, c in zip(columns.convention.keypoints, columns.columns, strict=True) if c is None]
    assert columns.convention.name == "body25"
    assert absent == ["neck", "mid_hip", "left_small_toe", "right_small_toe"]


def test_human36m_is_known_by_its_data_set():
    names = ["root", "right_hip", *(f"other_{i}" for i in range(15))]
    assert columns_of(names, "h36m").convention.name == "h36m17"


def test_networks_for_other_things_are_refused():
    with pytest.raises(ValueError, match="belong to no known convention"):
        columns_of([f"thumb{i}" for i in range(21)])


REGISTRY = (
    "class `TopdownPoseEstimator` in mmpose/models/pose_estimators/topdown.py: 'mmpretrain.VisionTransformer is not in "
    "the mmpose::model registry. Please check whether the value of `mmpretrain.VisionTransformer` is correct or it was "
    "registered as expected. More details can be found at https://mmengine.readthedocs.io'"
)


def test_a_model_with_parts_of_a_package_that_is_missing_is_told_in_one_sentence(apis, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise KeyError(REGISTRY)

    monkeypatch.setattr(apis, "init_model", refuse, raising=False)
    with pytest.raises(ImportError, match="built with mmpretrain.VisionTransformer, and mmpretrain is not installed"):
        MmposeDetector(config(tmp_path))(photo())


def test_another_key_that_is_missing_stays_what_it_is(apis, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise KeyError("state_dict")

    monkeypatch.setattr(apis, "init_model", refuse, raising=False)
    with pytest.raises(KeyError, match="state_dict"):
        MmposeDetector(config(tmp_path))(photo())


def test_without_mmpose_the_install_script_is_named(monkeypatch, tmp_path):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "mmpose" else real(name, *rest)
    )
    with pytest.raises(ImportError, match="install_mmpose.sh") as raised:
        load_detector("mmpose", MmposeConfig())
    script = next(word for word in str(raised.value).split() if word.endswith(".sh"))
    assert (Path(__file__).parents[2] / script).is_file()


@pytest.mark.parametrize(("missing", "words"), [("config.py", "config file"), ("weights.pth", "checkpoint")])
def test_missing_files_are_named(apis, tmp_path, missing, words):
    (tmp_path / missing).unlink()
    with pytest.raises(ValueError, match=words):
        MmposeDetector(config(tmp_path))


@pytest.mark.assets
@pytest.mark.filterwarnings("ignore")
def test_a_real_rtmpose_with_random_weights_runs(tmp_path):
    mmpose = pytest.importorskip("mmpose", reason="run detection/install_mmpose.sh")
    folder = Path(mmpose.__file__).parent / ".mim/configs/body_2d_keypoint/rtmpose/coco"
    model_config = folder / "rtmpose-t_8xb256-420e_coco-256x192.py"
    torch.manual_seed(0)
    operators = torchvision_operators()
    plain = pytest.importorskip("mmpose.apis").init_model(str(model_config), None, device="cpu")
    checkpoint = {"state_dict": plain.state_dict(), "meta": {"dataset_meta": plain.dataset_meta}}
    torch.save(checkpoint, tmp_path / "random.pth")
    (tmp_path / "boxes.json").write_text('{"a.jpg": [[5, 6, 20, 30], [30, 8, 40, 50]]}')
    options = MmposeConfig(str(model_config), str(tmp_path / "random.pth"), boxes=str(tmp_path / "boxes.json"))
    found = MmposeDetector(options)(photo())
    del operators
    assert found.convention == "coco17" and found.keypoints.shape == (2, 17, 2)
    assert torch.isfinite(found.keypoints).all()
    # RTMPose looks at 1.25 times the box, brought to 3:4.
    assert (found.keypoints[1] - torch.tensor([50.0, 33.0])).abs().max() <= 1.25 * 50.0 / 2.0 * 1.34
