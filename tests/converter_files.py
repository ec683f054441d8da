"""What the tests of all converters share; every file is made in its authors' format."""

import numpy as np

from fitloop.body.keypoints import SPIN_24

RNG = np.random.default_rng(0)


def joint(dataset, row, name):
    """One annotated joint by its name: x, y, confidence."""
    return dataset.keypoints[row, SPIN_24.index(name)].tolist()
