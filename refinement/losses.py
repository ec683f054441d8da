"""What the displacement network is taught by."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from fitloop.refinement.network import Displacement


def laplace_loss(
    predicted: Displacement,
    truth: Float[Tensor, "people 2 size size"],
    weight: Float[Tensor, "people size size"],
    balance: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean negative log-likelihood of a Laplace distribution in the plane: ``|error| / b + 2 log b``.

    Where the spread depends on direction, ``|S^-1 error| + log det S`` with ``S = exp((log b) I + ((p, q), (q, -p)))``.

    Args:
        predicted: By the network.
        truth: Crop pixels; any number where the weight is 0.
        weight: 0 where the true point is hidden, outside the photo or where no body was drawn.
        balance: Power of the spread that pixels weigh by. At 0, what the network is unsure of hardly teaches it
            anything and stays unsure (Seitzer et al. 2022, eq. 5: their beta); at 1, all errors pull alike.
    """
    error = predicted.offset - truth
    if predicted.uneven is not None:
        error = _evened(error, predicted.uneven)
    # The root has no slope at 0; a hundredth of a pixel makes it smooth there.
    error = error.square().sum(1).add(1e-4).sqrt()
    loss = error * (-predicted.log_spread).exp() + 2.0 * predicted.log_spread
    if balance:
        loss = loss * (balance * predicted.log_spread.detach()).exp()
    return (weight * loss).sum() / weight.sum().clamp_min(1.0)


def _evened(error: Tensor, uneven: Tensor) -> Tensor:
    """Errors times ``exp(-((p, q), (q, -p)))``: longer where the network was sure, shorter where it was not."""
    x, y = error.unbind(1)
    p, q = uneven.unbind(1)
    size = (p.square() + q.square() + 1e-8).sqrt()
    plain, turned = torch.cosh(size), torch.sinh(size) / size
    return torch.stack([plain * x - turned * (p * x + q * y), plain * y - turned * (q * x - p * y)], 1)


def endpoint_error(
    predicted: Displacement, truth: Float[Tensor, "people 2 size size"], weight: Float[Tensor, "people size size"]
) -> Float[Tensor, ""]:
    """Mean distance between predicted and true displacement, crop pixels; arguments as of `laplace_loss`."""
    error = (predicted.offset - truth).norm(dim=1)
    return (weight * error).sum() / weight.sum().clamp_min(1.0)


def surface_loss(
    predicted: Float[Tensor, "people 4 half half"], truth: Float[Tensor, "people 5 half half"]
) -> Float[Tensor, ""]:
    """How wrongly the points of the body that a photo shows are told (`SurfaceHead`).

    Args:
        predicted: Place in the T-pose as a colour, and the logit of showing the person.
        truth: The true colour, 1 where that is known and visible, and 1 where the photo shows the person.
    """
    known = truth[:, 3]
    place = (known * (predicted[:, :3] - truth[:, :3]).abs().sum(1)).sum() / known.sum().clamp_min(1.0)
    return place + 0.5 * binary_cross_entropy_with_logits(predicted[:, 3], truth[:, 4])
