"""What tests of every folder may ask for."""

from collections.abc import Iterator

import pytest
from pretend import PretendDevice, available, introduce

# Before any test has let autograd count the devices.
if available():
    introduce()


@pytest.fixture
def pretend_device() -> Iterator[PretendDevice]:
    """A device that is not there, `pretend.PRETEND`: a tensor that is left on the CPU beside it raises."""
    if not available():
        pytest.skip("This PyTorch has no devices that are made in Python.")
    with PretendDevice() as mode:
        yield mode
