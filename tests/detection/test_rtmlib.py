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


def brightest_red(path: Path, count: int = 17, outputs: int = 2, batch: int | str = 1, size=(256, 192)) -> Path:
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
        [onnx.helper.make_tensor_value_info("image", tensor.FLOAT, [batch, 3, *size])],
        [
            onnx.helper.make_tensor_value_info("simcc_x", tensor.FLOAT, [batch, count, 384]),
            onnx.helper.make_tensor_value_info("simcc_y", tensor.FLOAT, [batch, count, 512]),
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


@pytest.mark.parametrize(("count", "convention"), [(26, "halpe26"), (133, "wholebody133")])
def test_halpe_and_wholebody_models_keep_all_their_keypoints(tmp_path, count, convention):
    boxes = boxes_file(tmp_path, '{"spots.png": [[20, 10, 100, 120]]}')
    detector = RtmlibDetector(RtmlibConfig(str(brightest_red(tmp_path / "m.onnx", count)), boxes=boxes))
    assert detector.convention == convention
    assert (detector(spots()).confidence > 0).all()


def rtmo(path: Path, score: float) -> Path:
    """Write an RTMO-like model of 640 x 640 that always answers the same two people."""
    people = np.zeros((1, 2, 17, 3), np.float32)
    people[..., 2] = 0.9
    people[0, 0, :, :2] = np.linspace(20, 180, 17)[:, None]
    people[0, 1, :, :2] = np.linspace(220, 380, 17)[:, None]
    dets = np.array([[[20, 20, 180, 180, score], [220, 220, 380, 380, score]]], np.float32)
    make, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    nodes = [
        onnx.helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(values))
        for name, values in (("dets", dets), ("keypoints", people))
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "rtmo",
        [make("image", kind, [1, 3, 640, 640])],
        [make("dets", kind, [1, 2, 5]), make("keypoints", kind, [1, 2, 17, 3])],
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_rtmo_finds_two_people_without_boxes(tmp_path):
    found = RtmlibDetector(RtmlibConfig(str(rtmo(tmp_path / "m.onnx", 0.9))))(spots())
    scale = 300 / 640
    corners = sorted(found.boxes.tolist())
    assert found.convention == "coco17"
    assert np.allclose(corners, [[20 * scale] * 2 + [180 * scale] * 2, [220 * scale] * 2 + [380 * scale] * 2])


def test_rtmo_finds_nobody_where_scores_are_low(tmp_path):
    assert len(RtmlibDetector(RtmlibConfig(str(rtmo(tmp_path / "m.onnx", 0.1))))(spots()).boxes) == 0


@pytest.mark.parametrize("name", ["balanced", "rtmo-s"])
def test_a_failed_download_says_where_to_put_the_file(tmp_path, monkeypatch, name):
    def blocked(*_args, **_kwargs):
        raise OSError("no network")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("rtmlib.tools.file.download_url_to_file", blocked)
    with pytest.raises(ValueError, match=r"put rtm.*\.zip into .*checkpoints, or give an \.onnx file"):
        _ = RtmlibDetector(RtmlibConfig(name)).convention


@pytest.mark.parametrize(("count", "outputs"), [(21, 2), (17, 1)])
def test_models_that_are_not_for_bodies_are_refused(tmp_path, count, outputs):
    detector = RtmlibDetector(RtmlibConfig(str(brightest_red(tmp_path / "m.onnx", count, outputs))))
    with pytest.raises(ValueError, match=f"{outputs} outputs for {count} keypoints"):
        _ = detector.convention


def test_a_detector_of_boxes_is_refused_as_model(tmp_path):
    make, tensor = onnx.helper.make_tensor_value_info, onnx.TensorProto
    values = {"dets": np.zeros((1, 2, 5), np.float32), "labels": np.zeros((1, 2), np.float32)}
    nodes = [
        onnx.helper.make_node("Constant", [], [name], value=onnx.numpy_helper.from_array(value))
        for name, value in values.items()
    ]
    outputs = [make(name, tensor.FLOAT, value.shape) for name, value in values.items()]
    graph = onnx.helper.make_graph(nodes, "yolox", [make("image", tensor.FLOAT, [1, 3, 64, 64])], outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(ValueError, match="neither RTMPose's nor RTMO's"):
        _ = RtmlibDetector(RtmlibConfig(str(tmp_path / "m.onnx"))).convention


def test_nothing_is_printed(tmp_path, capfd):
    boxes = boxes_file(tmp_path, '{"spots.png": [[20, 10, 100, 120]]}')
    RtmlibDetector(RtmlibConfig(str(brightest_red(tmp_path / "m.onnx")), boxes=boxes))(spots())
    assert capfd.readouterr() == ("", "")


def test_a_missing_model_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="one of lightweight, balanced, performance"):
        RtmlibDetector(RtmlibConfig(str(tmp_path / "none.onnx")))


def yolox(path: Path) -> Path:
    """Write a YOLOX-like model of 640 x 640 that always answers the same two people and a faint third one."""
    boxes = np.array([[[40, 20, 260, 300, 0.9], [330, 130, 600, 400, 0.8], [0, 0, 50, 50, 0.2]]], np.float32)
    make, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    nodes = [onnx.helper.make_node("Constant", [], ["dets"], value=onnx.numpy_helper.from_array(boxes))]
    graph = onnx.helper.make_graph(
        nodes, "yolox", [make("image", kind, [1, 3, 640, 640])], [make("dets", kind, [1, 3, 5])]
    )
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_people_are_found_by_yolox_where_its_file_is_given(tmp_path):
    pose, finder = brightest_red(tmp_path / "pose.onnx"), yolox(tmp_path / "yolox.onnx")
    found = RtmlibDetector(RtmlibConfig(str(pose), finder=str(finder)))(spots())
    scale = 300 / 640
    expected = scale * np.array([[40, 20, 260, 300], [330, 130, 600, 400]])
    assert np.allclose(found.boxes.numpy(), expected, atol=0.1)
    assert (found.keypoints[0] - torch.tensor([93.0, 63.0])).abs().max() < 4.0


def test_a_pose_model_is_refused_as_finder(tmp_path):
    pose = str(brightest_red(tmp_path / "red.onnx"))
    detector = RtmlibDetector(RtmlibConfig(pose, finder=pose))
    with pytest.raises(ValueError, match="not YOLOX's"):
        detector(spots())


def test_a_finder_that_is_not_there_is_refused_at_once():
    with pytest.raises(ValueError, match=r"no person detector 'none.onnx'.*embedded, yolox"):
        RtmlibDetector(RtmlibConfig("balanced", finder="none.onnx"))


def test_exports_with_open_axes_are_read(tmp_path):
    boxes = boxes_file(tmp_path, '{"spots.png": [[20, 10, 100, 120]]}')
    model = brightest_red(tmp_path / "m.onnx", batch="batch", size=("height", "width"))
    found = RtmlibDetector(RtmlibConfig(str(model), boxes=boxes))(spots())
    assert (found.keypoints[0] - torch.tensor([93.0, 63.0])).abs().max() < 4.0


def test_a_file_that_is_no_model_is_refused_in_a_sentence(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"no model at all")
    with pytest.raises(ValueError, match=r"m\.onnx is no ONNX model.*give an \.onnx file"):
        _ = RtmlibDetector(RtmlibConfig(str(tmp_path / "m.onnx"))).convention
