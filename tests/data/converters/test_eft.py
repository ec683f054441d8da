import json

import numpy as np
import pytest
from converter_files import RNG

from fitloop.data import converters


def eft_entry(**changed):
    angle = np.eye(3)
    angle[1:, 1:] = [[0.0, -1.0], [1.0, 0.0]]
    entry = {
        "parm_pose": np.stack([angle] + [np.eye(3)] * 23).tolist(),
        **{"parm_shape": [0.5] * 10, "parm_cam": [0.9, 0.0, 0.0], "bbox_scale": 1.5, "bbox_center": [100.0, 90.0]},
        **{"joint_validity_openpose18": [True] * 18, "smpltype": "smpl", "annotId": 3, "imageName": "COCO_3.jpg"},
    }
    return {**entry, **changed}


def test_eft_fits_become_poses_with_the_keypoints_of_the_file(tmp_path):
    keypoints = RNG.uniform(0, 200, (49, 3))
    entries = [eft_entry(), eft_entry(gt_keypoint_2d=keypoints.tolist(), imageName="b.jpg")]
    entries.append(eft_entry(smpltype="smplx"))
    (tmp_path / "COCO2014-Part-ver01.json").write_text(json.dumps({"ver": 0.1, "data": entries}))
    dataset = converters.convert_eft(tmp_path / "COCO2014-Part-ver01.json", prefix="train2014/")
    assert dataset.image_names == ("train2014/COCO_3.jpg", "train2014/b.jpg")
    np.testing.assert_allclose(dataset.pose[0, :3], [np.pi / 2, 0.0, 0.0], atol=1e-6)
    assert (dataset.keypoints[0] == 0).all() and dataset.scales[0] == 1.5
    np.testing.assert_allclose(dataset.openpose[1], keypoints[:25], rtol=1e-6)
    np.testing.assert_allclose(dataset.keypoints[1], keypoints[25:], rtol=1e-6)


def test_eft_fits_of_other_shapes_are_refused(tmp_path):
    (tmp_path / "fits.json").write_text(json.dumps({"ver": 0.1, "data": [eft_entry(parm_shape=[0.0] * 16)]}))
    with pytest.raises(ValueError, match=r"fit 0 has pose, shape and keypoints of \(\(24, 3, 3\), \(16,\)"):
        converters.convert_eft(tmp_path / "fits.json")
    (tmp_path / "fits.json").write_text("[1, 2]")
    with pytest.raises(ValueError, match="no list 'data'"):
        converters.convert_eft(tmp_path / "fits.json")
