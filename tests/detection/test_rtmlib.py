from pathlib import Path

import numpy as np
import pytest
import torch

from fitloop.body.records import Image
from fitloop.detection import RtmlibConfig, RtmlibDetector, load_detector
from fitloop.geometry.cameras import camera_of

onnx = pytest.importorskip("onnx", reason="the small model of these tests is made with onnx")
pytest.importorskip("onnxruntime", reason="rtmlib runs models with ONNX Runtime: pip install 'fitloop[rtmlib]'")
pytest.importorskip("rtmlib", reason="pip install --no-deps rtmlib")


def brightest_red(path: Path, count: int = 17, outputs: int = 2) -> Path:
    """Write an RTMPose-like model: every keypoint is where the first channel is brightest."""
    node, tensor = onnx.helper.make_node, onnx.TensorProto
    constants = {
        "first": np.array([0]),
        "x_shape": np.array([1, 1, 2 * 192]),
        "y_shape": np.array([1, 1, 2 * 256]),
        "people": np.array([1, count, 1]),
        "split": np.array([-1]),
    }
    nodes = [node("Gather", ["image", "first"], ["red"], axis=1)]
    for name, axis in (("x", 2), ("y", 3)):
        nodes += [
            node("ReduceMax", ["red"], [f"{name}_row"], axes=[axis], keepdims=0),
            node("Unsqueeze", [f"{name}_row", "split"], [f"{name}_column"]),
            node("Concat", [f"{name}_column"] * 2, [f"{name}_twice"], axis=-1),
            node("Reshape", [f"{name}_twice", f"{name}_shape"], [f"{name}_flat"]),
            node("Tile", [f"{name}_flat", "people"], [f"simcc_{name}"]),
        ]
    graph = onnx.helper.make_graph(
        nodes,
        "brightest_red",
        [onnx.helper.make_tensor_value_info("image", tensor.FLOAT, [1, 3, 256, 192])],
        [
            onnx.helper.make_tensor_value_info("simcc_x", tensor.FLOAT, [1, count, 384]),
            onnx.helper.make_tensor_value_info("simcc_y", tensor.FLOAT, [1, count, 512]),
        ][:outputs],
        [onnx.numpy_helper.from_array(values, name) for name, values in constants.items()],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def spots() -> Image:
    pixels = np.full((200, 300, 3), 120, np.uint8)
    pixels[60:66, 90:96, 0] = 255
    pixels[120:126, 210:216, 0] = 255
    pixels[30:36, 40:46, 2] = 255
    return Image(pixels, camera_of(300, 200), "spots.png")


def boxes_file(tmp_path: Path, text: str) -> str:
    (tmp_path / "boxes.json").write_text(text)
    return str(tmp_path / "boxes.json")


def test_each_box_gives_keypoints_in_pixels_of_the_photo_from_rgb(tmp_path):
    boxes = boxes_file(tmp_path, '{"spots.png": [[20, 10, 100, 120], [160, 60, 100, 120]]}')
    detector = load_detector("rtmlib", RtmlibConfig(str(brightest_red(tmp_path / "m.onnx")), boxes=boxes))
    found = detector(spots())
    assert found.convention == detector.convention == "coco17"
    assert found.keypoints.shape == (2, 17, 2)
    assert (found.keypoints[0] - torch.tensor([93.0, 63.0])).abs().max() < 4.0
    assert (found.keypoints[1] - torch.tensor([213.0, 123.0])).abs().max() < 4.0
    assert ((found.confidence > 0) & (found.confidence <= 1)).all()
    assert found.boxes.tolist() == [[20.0, 10.0, 120.0, 130.0], [160.0, 60.0, 260.0, 180.0]]


def test_a_photo_without_people_gives_none(tmp_path):
    boxes = boxes_file(tmp_path, '{"spots.png": []}')
    detector = RtmlibDetector(RtmlibConfig(str(brightest_red(tmp_path / "m.onnx")), boxes=boxes))
    assert detector(spots()).keypoints.shape == (0, 17, 2)


def test_halpe_models_speak_body25(tmp_path):
    boxes = boxes_file(tmp_path, '{"spots.png": [[20, 10, 100, 120]]}')
    detector = RtmlibDetector(RtmlibConfig(str(brightest_red(tmp_path / "m.onnx", 26)), boxes=boxes))
    assert detector.convention == "body25"
    assert (detector(spots()).confidence > 0).all()


@pytest.mark.parametrize(("count", "outputs"), [(21, 2), (17, 1)])
def test_models_that_are_not_for_bodies_are_refused(tmp_path, count, outputs):
    detector = RtmlibDetector(RtmlibConfig(str(brightest_red(tmp_path / "m.onnx", count, outputs))))
    with pytest.raises(ValueError, match=f"{outputs} outputs for {count} keypoints"):
        _ = detector.convention


def test_nothing_is_printed(tmp_path, capfd):
    boxes = boxes_file(tmp_path, '{"spots.png": [[20, 10, 100, 120]]}')
    RtmlibDetector(RtmlibConfig(str(brightest_red(tmp_path / "m.onnx")), boxes=boxes))(spots())
    assert capfd.readouterr() == ("", "")


def test_a_missing_model_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="one of lightweight, balanced, performance"):
        RtmlibDetector(RtmlibConfig(str(tmp_path / "none.onnx")))
