import numpy as np
import pytest

from fitloop.data import converters


def test_human36m_protocol_2_is_the_frontal_camera(tmp_path):
    names = [f"S9_Walking.{camera}_000{n}.jpg" for n, camera in enumerate(("54138969", "60457274", "60457274"))]
    arrays = {"imgname": names, "center": np.arange(6.0).reshape(3, 2), "scale": np.ones(3)}
    np.savez(tmp_path / "h36m_valid_protocol1.npz", **arrays, S=np.ones((3, 24, 4)))
    assert len(converters.convert_human36m(tmp_path / "h36m_valid_protocol1.npz")) == 3
    frontal = converters.convert_human36m(tmp_path / "h36m_valid_protocol1.npz", "protocol2")
    assert frontal.image_names == tuple(names[1:]) and frontal.name == "h36m_valid_protocol2"
    np.savez(tmp_path / "other.npz", **arrays)
    with pytest.raises(ValueError, match="has no S"):
        converters.convert_human36m(tmp_path / "other.npz")
