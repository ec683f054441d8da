"""Train the variational autoencoder over poses (Pavlakos et al. 2019, section 3.2); the program is ``train-prior``."""

from dataclasses import dataclass
from math import cos, pi
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from fitloop.body.model import forward_kinematics
from fitloop.body.params import NUM_JOINTS
from fitloop.fitting.build_prior import added_variance
from fitloop.fitting.vae_prior import NUM_TURNED, TURNED_SIZE, Perceptron, VaePrior, make_vae_prior
from fitloop.geometry.rotations import rotvec_to_rotmat

_SLOPE = 0.2
_JOINT_SPREAD = 0.03
"""Metres: the reconstruction of joints counts in units of this."""


@dataclass(frozen=True)
class VaeConfig:
    """The autoencoder and how it learns."""

    latent: int = 32
    """Latent numbers."""
    width: int = 128
    """Of both hidden layers of encoder and decoder."""
    steps: int = 6000
    """Batches."""
    batch_size: int = 256
    """Poses per batch."""
    learning_rate: float = 2e-3
    """Of Adam at the start; falls to 0 as a cosine."""
    kl: float = 1.0
    """Weight of the code's divergence from a unit Gaussian."""
    joints: float = 1.0
    """Weight of the squared distance of joints, in units of 3 cm."""
    orth: float = 10.0
    """Weight of L_orth, the squared distance of M M' from the unit matrix."""
    det: float = 1.0
    """Weight of L_det, the distance of the determinant from 1."""
    noise: float = 0.3
    """Largest standard deviation, radians, of what is added to the encoder's input in half of the batch, so that poses
    near those of people are drawn back to them."""

    def __post_init__(self) -> None:
        for name, low, high in (("latent", 1, 512), ("width", 1, 4096), ("steps", 1, 10**7), ("batch_size", 2, 10**5)):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} must lie between {low} and {high}, got {getattr(self, name)}.")
        for name in ("kl", "joints", "orth", "det", "noise"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}.")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}.")


class VaeLosses(NamedTuple):
    """Means over a batch."""

    kl: Tensor
    """Nats."""
    rotations: Tensor
    """Nats: negative log density of the rotations around the decoder's answer."""
    joints: Tensor
    """Half the sum of squared distances, in units of 3 cm."""
    orth: Tensor
    """``|M M' - I|^2`` per joint."""
    det: Tensor
    """``|det M - 1|`` per joint."""


class PoseVae(nn.Module):
    """Encoder and decoder while they learn."""

    def __init__(self, config: VaeConfig, mean: Float[Tensor, "numbers"], spread: Float[Tensor, "numbers"]) -> None:
        """Make the layers.

        Args:
            config: Sizes.
            mean: Of the 63 axis-angle numbers, radians.
            spread: Their standard deviations.
        """
        super().__init__()
        self.mean, self.spread = mean, spread
        self.encoder = _Layers(TURNED_SIZE, config.width, 2 * config.latent)
        self.decoder = _Layers(config.latent, config.width, 9 * NUM_TURNED)
        self.log_deviation = nn.Parameter(torch.full((NUM_TURNED,), -2.0))
        with torch.no_grad():
            self.decoder.last.bias.copy_(torch.eye(3).flatten().repeat(NUM_TURNED))

    def forward(self, pose: Float[Tensor, "batch numbers"]) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance of the code."""
        mean, log_variance = self.encoder((pose - self.mean) / self.spread).chunk(2, dim=-1)
        return mean, log_variance.clamp(-12.0, 4.0)

    def matrices(self, code: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch joints 3 3"]:
        """The decoder's answer."""
        return self.decoder(code).unflatten(-1, (NUM_TURNED, 3, 3))


class _Layers(nn.Module):
    """What becomes a `Perceptron`."""

    def __init__(self, inputs: int, width: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        leaky = nn.functional.leaky_relu
        return self.last(leaky(self.second(leaky(self.first(inputs), _SLOPE)), _SLOPE))


def vae_losses(
    network: PoseVae,
    seen: Float[Tensor, "batch numbers"],
    truth: Float[Tensor, "batch joints 3 3"],
    places: Float[Tensor, "batch all_joints 3"],
    rest: Float[Tensor, "all_joints 3"],
    generator: torch.Generator,
) -> VaeLosses:
    """Losses of a batch.

    Args:
        network: Under training.
        seen: Axis-angle of 21 joints as the encoder sees them, radians.
        truth: The rotations that the decoder should answer.
        places: The 24 joints in this pose, from `joint_places`.
        rest: The 24 joints of the T-pose, metres.
        generator: Source of the code's noise.
    """
    mean, log_variance = network(seen)
    drawn = torch.randn(mean.shape, generator=generator)
    matrices = network.matrices(mean + (0.5 * log_variance).exp() * drawn)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(-1).mean()
    apart = (truth - matrices).square().sum((-2, -1)) / (4.0 * (2.0 * network.log_deviation).exp())
    moved = joint_places(matrices, rest) - places
    # Three products: a batched determinant by factorisation takes several times as long.
    volume = (torch.linalg.cross(matrices[..., 0], matrices[..., 1]) * matrices[..., 2]).sum(-1)
    gram = matrices @ matrices.mT - torch.eye(3)
    return VaeLosses(
        kl,
        (apart + 3.0 * network.log_deviation).sum(-1).mean(),
        0.5 * (moved / _JOINT_SPREAD).square().sum((-2, -1)).mean(),
        gram.square().sum((-2, -1)).mean(),
        (volume - 1.0).abs().mean(),
    )


def joint_places(
    rotations: Float[Tensor, "batch 21 3 3"], rest: Float[Tensor, "joints 3"]
) -> Float[Tensor, "batch joints 3"]:
    """The 24 joints of an upright body in these poses, metres; rotations may be any matrices."""
    root = torch.eye(3).expand(len(rotations), 1, 3, 3)
    hands = root.expand(-1, NUM_JOINTS - 1 - NUM_TURNED, 3, 3)
    _, places = forward_kinematics(torch.cat([root, rotations, hands], dim=1), rest.expand(len(rotations), -1, 3))
    return places


def _as_seen(pose: Tensor, noise: float, generator: torch.Generator) -> Tensor:
    """Half of the poses with some joints turned a little."""
    rows = len(pose)
    level = noise * torch.rand(rows, 1, 1, generator=generator) * (torch.arange(rows) < rows // 2)[:, None, None]
    hit = torch.rand(rows, NUM_TURNED, 1, generator=generator) < 0.5
    drawn = torch.randn(rows, NUM_TURNED, 3, generator=generator)
    return pose + (level * hit * drawn).flatten(1)


def train_vae(
    poses: Float[np.ndarray, "samples numbers"], rest: Float[Tensor, "joints 3"], config: VaeConfig, seed: int
) -> tuple[VaePrior, list[VaeLosses]]:
    """Train an autoencoder and make a prior of it.

    Args:
        poses: Axis-angle of SMPL's first 21 body joints, radians.
        rest: The 24 joints of the T-pose, metres.
        config: Sizes, losses, length.
        seed: Of weights, batches and noise.

    Returns:
        The prior, float32, and the losses of every hundredth batch.

    Raises:
        ValueError: If the poses are no rows of 63 numbers, or the loss becomes infinite.
    """
    if poses.ndim != 2 or poses.shape[1] != TURNED_SIZE or len(poses) < config.batch_size:
        raise ValueError(
            f"Training needs at least {config.batch_size} poses of {TURNED_SIZE} numbers, got {poses.shape}."
        )
    every = torch.from_numpy(poses).float()
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = PoseVae(config, every.mean(0), every.std(0).clamp_min(0.05))
    optimizer = torch.optim.Adam(network.parameters(), config.learning_rate)
    rest, told = rest.float(), []
    truth = rotvec_to_rotmat(every.unflatten(-1, (NUM_TURNED, 3)))
    places = torch.cat([joint_places(rows, rest) for rows in truth.split(4096)])
    for step in range(config.steps):
        optimizer.param_groups[0]["lr"] = config.learning_rate * 0.5 * (1.0 + cos(pi * step / config.steps))
        rows = torch.randint(len(every), (config.batch_size,), generator=generator)
        seen = _as_seen(every[rows], config.noise, generator)
        losses = vae_losses(network, seen, truth[rows], places[rows], rest, generator)
        total = config.kl * losses.kl + losses.rotations + config.joints * losses.joints
        total = total + config.orth * losses.orth + config.det * losses.det
        if not bool(torch.isfinite(total)):
            raise ValueError(f"The loss is {float(total)} at step {step}; train with a lower learning_rate.")
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        if step % 100 == 0 or step == config.steps - 1:
            told.append(VaeLosses(*(loss.detach() for loss in losses)))
    return _prior_of(network, every), told


@torch.no_grad()
def _prior_of(network: PoseVae, poses: Tensor) -> VaePrior:
    net, latent = network.encoder, network.decoder.first.in_features
    # The standardisation of the input goes into the first layer, so that the prior is two plain networks.
    scaled = net.first.weight / network.spread
    encoder = Perceptron(
        first=scaled,
        first_bias=net.first.bias - scaled @ network.mean,
        second=net.second.weight,
        second_bias=net.second.bias,
        last=net.last.weight[:latent],
        last_bias=net.last.bias[:latent],
        slopes=(_SLOPE, _SLOPE),
    )
    net = network.decoder
    decoder = Perceptron(
        first=net.first.weight,
        first_bias=net.first.bias,
        second=net.second.weight,
        second_bias=net.second.bias,
        last=net.last.weight,
        last_bias=net.last.bias,
        slopes=(_SLOPE, _SLOPE),
    )
    sample = poses[:: max(1, len(poses) // 20000)]
    truth = rotvec_to_rotmat(sample.unflatten(-1, (NUM_TURNED, 3)))
    apart = truth - decoder(encoder(sample)).unflatten(-1, (NUM_TURNED, 3, 3))
    variance = torch.from_numpy(added_variance()).float().view(-1, 3)[:, 0].clone()
    variance[:NUM_TURNED] += apart.square().sum((-2, -1)).mean(0) / 6.0
    return make_vae_prior(encoder, decoder, variance.sqrt())
