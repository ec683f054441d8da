import numpy as np
import pytest
from converter_files import RNG
from scipy.io import savemat


@pytest.fixture
def lsp(tmp_path):
    joints = np.zeros((3, 14, 4))
    joints[:2] = RNG.integers(20, 200, (2, 14, 4))
    joints[2] = RNG.integers(0, 2, (14, 4))
    savemat(tmp_path / "joints.mat", {"joints": joints})
    return tmp_path, joints
