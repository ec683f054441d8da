"""Human3.6M (Ionescu et al. 2014), which its licence lets nobody pass on: read as SPIN's npz that users made."""

from pathlib import Path
from typing import Literal

import numpy as np

from fitloop.data.spin_format import SpinDataset, read_spin

FRONTAL_CAMERA = "60457274"


def convert_human36m(path: Path, split: Literal["train", "protocol1", "protocol2"] = "train") -> SpinDataset:
    """Check SPIN's ``h36m_train.npz`` or ``h36m_valid_protocol1.npz``, and cut protocol 2 out of the latter.

    Args:
        path: The file.
        split: ``protocol2`` keeps the frontal camera only.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not SPIN's format, has no 3D joints, or no photo of the frontal camera.
    """
    dataset = read_spin(path)
    if dataset.joints_3d is None:
        raise ValueError(f"{path} has no S (3D joints); every Human3.6M file of SPIN has. Is it another data set?")
    if split != "protocol2":
        return dataset
    # SPIN has no file of protocol 2; its evaluation picks the camera out of protocol 1's.
    frontal = np.array([FRONTAL_CAMERA in name for name in dataset.image_names])
    if not frontal.any():
        raise ValueError(f"{path} has no photo of camera {FRONTAL_CAMERA}, the only one of protocol 2.")
    kept = dataset.take(frontal)
    return SpinDataset(**{**vars(kept), "name": "h36m_valid_protocol2"})
