"""A variational autoencoder as pose prior (VPoser, Pavlakos et al. 2019): 21 rotations in 32 latent numbers.

Its energy is the negative log density of a pose and its own code, at the code that the encoder finds::

    E(pose) = |mu|^2 / 2 + sum over joints of |R - D(mu)|^2 / (4 s^2),   mu = encoder(pose)

so it is a sum of squares whose derivatives go exactly through both small networks. The code alone would not do: far
from any pose that people take, an encoder still answers with codes near 0. ``s`` says how far from the decoder's answer
poses of people lie.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fitloop.body.params import NUM_JOINTS
from fitloop.fitting.coordinates import exponential, eye_and_crosses
from fitloop.fitting.mixture_prior import PosePrior
from fitloop.geometry.records import TensorRecord
from fitloop.geometry.rotations import project_to_rotation, rot6d_to_rotmat, rotmat_to_rotvec

NUM_TURNED = 21
"""Body joints that the networks know: SMPL's 23 without its hands, which no motion capture of the field has."""
TURNED_SIZE = 3 * NUM_TURNED
POSE_SIZE = 3 * (NUM_JOINTS - 1)


@dataclass(frozen=True)
class Perceptron(TensorRecord):
    """Two hidden layers with leaky rectifiers; batch normalisation of others is folded into the matrices."""

    first: Float[Tensor, "hidden inputs"]
    first_bias: Float[Tensor, "hidden"]
    second: Float[Tensor, "hidden hidden"]
    second_bias: Float[Tensor, "hidden"]
    last: Float[Tensor, "outputs hidden"]
    last_bias: Float[Tensor, "outputs"]
    slopes: tuple[float, float] = (0.2, 0.2)
    """Of each rectifier below 0; 1 makes the layer linear."""

    def __call__(self, inputs: Float[Tensor, "*batch inputs"]) -> Float[Tensor, "*batch outputs"]:
        """Apply the network."""
        return self.opened(inputs)[0]

    def opened(self, inputs: Float[Tensor, "*batch inputs"]) -> tuple[Tensor, Tensor, Tensor]:
        """The answer, and the slope of every hidden unit in both layers."""
        linear = torch.nn.functional.linear
        inner = linear(inputs, self.first, self.first_bias)
        gate = torch.where(inner > 0, 1.0, self.slopes[0]).to(inner)
        outer = linear(inner * gate, self.second, self.second_bias)
        outer_gate = torch.where(outer > 0, 1.0, self.slopes[1]).to(outer)
        return linear(outer * outer_gate, self.last, self.last_bias), gate, outer_gate

    def pull(
        self, gate: Float[Tensor, "batch hidden"], outer_gate: Float[Tensor, "batch hidden"]
    ) -> Float[Tensor, "batch outputs inputs"]:
        """The derivative, built from the outputs on: cheap where these are few."""
        return ((self.last * outer_gate[:, None]) @ self.second * gate[:, None]) @ self.first

    def push(
        self,
        gate: Float[Tensor, "batch hidden"],
        outer_gate: Float[Tensor, "batch hidden"],
        moves: Float[Tensor, "batch moves inputs"],
    ) -> Float[Tensor, "batch moves outputs"]:
        """What moves of the inputs do to the outputs."""
        inner = (moves @ self.first.mT) * gate[:, None]
        return ((inner @ self.second.mT) * outer_gate[:, None]) @ self.last.mT


@dataclass(frozen=True)
class VaePrior(TensorRecord):
    """Encoder, decoder and the spread of poses around what the decoder says."""

    encoder: Perceptron
    """From the axis-angle vectors of 21 joints, radians, to the mean of the latent code."""
    decoder: Perceptron
    deviation: Float[Tensor, "joints"]
    """Of each of the 23 body joints from the decoder's answer (the hands: from rest), radians per axis."""
    mixture: PosePrior
    """What counts beside the networks: nothing, or the Gaussian mixture where both are asked for."""
    mean: Float[Tensor, "pose"]
    """The pose of the code 0, axis-angle."""
    answer: Literal["matrices", "6d"] = "matrices"
    """How the decoder speaks: nine numbers of a matrix (VPoser's paper), or six that are orthonormalised."""
    weight: float = 1.0
    """What this energy is multiplied with: a half where the mixture counts the other half."""

    @property
    def lowest(self) -> Tensor:
        """A bound of the energy from below: 0, or half of what bounds the mixture."""
        return self.mixture.lowest

    def __call__(self, pose: Float[Tensor, "*batch pose"]) -> Float[Tensor, "*batch"]:
        """Energy of axis-angle poses of 23 joints, in nats."""
        code = self.encode(pose)
        rotations, _ = exponential(pose[..., :TURNED_SIZE].unflatten(-1, (NUM_TURNED, 3)))
        apart = (rotations - self.matrices(code)).square().sum((-2, -1)) / (4.0 * self.deviation[:NUM_TURNED].square())
        hands = (pose[..., TURNED_SIZE:].unflatten(-1, (-1, 3)) / self.deviation[NUM_TURNED:, None]).square()
        energy = 0.5 * code.square().sum(-1) + apart.sum(-1) + 0.5 * hands.sum((-2, -1))
        return self.weight * energy + self.mixture(pose)

    def encode(self, pose: Float[Tensor, "*batch pose"]) -> Float[Tensor, "*batch latent"]:
        """The latent code of axis-angle poses."""
        return self.encoder(pose[..., :TURNED_SIZE])

    def matrices(self, code: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch 21 3 3"]:
        """What the decoder says of a code, as it says it: near rotations, not on them."""
        answer = self.decoder(code)
        if self.answer == "6d":
            return rot6d_to_rotmat(answer.unflatten(-1, (NUM_TURNED, 6)), "interleaved")
        return answer.unflatten(-1, (NUM_TURNED, 3, 3))

    def decode(self, code: Float[Tensor, "*batch latent"]) -> Float[Tensor, "*batch 23 3 3"]:
        """The pose of a latent code: nearest rotations by singular value decomposition, hands at rest.

        Raises:
            ValueError: If latent numbers are too few, too many or not finite.
        """
        if code.shape[-1] != self.decoder.first.shape[1]:
            raise ValueError(f"This pose prior has {self.decoder.first.shape[1]} latent numbers, got {code.shape[-1]}.")
        if not bool(torch.isfinite(code).all()):
            wrong = int((~torch.isfinite(code)).sum())
            raise ValueError(f"{wrong} latent numbers are not finite; a pose needs {code.shape[-1]} finite ones.")
        turned = project_to_rotation(self.matrices(code))
        hands = torch.eye(3).to(turned).expand(*turned.shape[:-3], NUM_JOINTS - 1 - NUM_TURNED, 3, 3)
        return torch.cat([turned, hands], dim=-3)

    def sample(self, count: int, generator: torch.Generator) -> Float[Tensor, "count 23 3 3"]:
        """Draw poses.

        Args:
            count: How many.
            generator: Source of randomness, on the CPU.
        """
        code = torch.randn(count, self.decoder.first.shape[1], generator=generator, dtype=torch.float64)
        return self.decode(code.to(self.decoder.first))


def make_vae_prior(
    encoder: Perceptron,
    decoder: Perceptron,
    deviation: Float[Tensor, "joints"],
    answer: Literal["matrices", "6d"] = "matrices",
) -> VaePrior:
    """Join the networks; nothing else counts beside them."""
    flat = deviation.new_zeros(1, POSE_SIZE)
    square = flat.new_zeros(1, POSE_SIZE, POSE_SIZE)
    nothing = PosePrior(flat, square, square, flat[:, 0], flat[0])
    prior = VaePrior(encoder, decoder, deviation, nothing, flat[0], answer)
    mean = rotmat_to_rotvec(prior.decode(decoder.first.new_zeros(decoder.first.shape[1])))
    return VaePrior(encoder, decoder, deviation, nothing, mean.flatten(), answer)


class PoseModel(NamedTuple):
    """Energy of poses, its gradient and Gauss-Newton matrix in the free ones of the 69 axis-angle numbers."""

    energy: Float[Tensor, "batch"]
    gradient: Float[Tensor, "batch free"]
    hessian: Float[Tensor, "batch free free"]


class VaeTables:
    """The networks' share of a `VaePrior`, ready for Gauss-Newton in some of the pose's numbers."""

    def __init__(self, prior: VaePrior, columns: Tensor, like: Tensor) -> None:
        """Gather what no body changes.

        Args:
            prior: Its mixture is left to the caller.
            columns: Of the 69 numbers of a pose, those that are free, rising.
            like: Its kind of numbers and its device.
        """
        place_it = (like.device, like.dtype)
        self.prior = prior.to(*place_it)
        self.turned = columns[columns < TURNED_SIZE].to(like.device)
        self.hands = columns[columns >= TURNED_SIZE].to(like.device)
        self.joints = torch.div(self.turned, 3, rounding_mode="floor")
        self.rows = torch.arange(len(self.turned), device=like.device)
        deviation = self.prior.deviation
        self.scale = 1.0 / (2.0**0.5 * deviation[:NUM_TURNED, None].expand(-1, 9))
        self.hold = deviation[NUM_TURNED:].repeat_interleave(3).reciprocal()

    def __call__(self, pose: Float[Tensor, "batch pose"]) -> PoseModel:
        """Model the energy around poses, `VaePrior.weight` included."""
        encoder, weight = self.prior.encoder, self.prior.weight
        code, gate, outer_gate = encoder.opened(pose[:, :TURNED_SIZE])
        by_pose = encoder.pull(gate, outer_gate).index_select(2, self.turned).mT
        apart, lines = self._apart(pose, code, by_pose)
        held = self.hold * pose[:, TURNED_SIZE:]
        energy = 0.5 * (code.square().sum(-1) + apart.square().sum(-1) + held.square().sum(-1))
        gradient = (by_pose @ code[..., None] + lines @ apart[..., None])[..., 0]
        hessian = torch.baddbmm(by_pose @ by_pose.mT, lines, lines.mT)
        if len(self.hands):
            hold = self.hold.index_select(0, self.hands - TURNED_SIZE)
            gradient = torch.cat([gradient, hold * held.index_select(1, self.hands - TURNED_SIZE)], dim=1)
            hessian = torch.nn.functional.pad(hessian, (0, len(self.hands), 0, len(self.hands)))
            hessian.diagonal(dim1=1, dim2=2)[:, len(self.turned) :] = hold.square()
        return PoseModel(weight * energy, weight * gradient, hessian.mul_(weight))

    def add_to(
        self, hessian: Float[Tensor, "batch unknowns unknowns"], pose: Tensor, at: int, weight: float
    ) -> PoseModel:
        """Model the energy, and add its weighted Gauss-Newton matrix to that of more unknowns.

        Args:
            hessian: Changed in place.
            pose: Axis-angle of 23 joints.
            at: Where the free numbers of the pose begin among the unknowns.
            weight: Multiplies the energy.
        """
        model = self(pose)
        rows = slice(at, at + model.gradient.shape[1])
        hessian[:, rows, rows].add_(model.hessian, alpha=weight)
        return PoseModel(weight * model.energy, weight * model.gradient, model.hessian)

    def _apart(self, pose: Tensor, code: Tensor, by_pose: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled difference of the pose and what the decoder makes of its code, and its derivatives."""
        rotations, jacobian = exponential(pose[:, :TURNED_SIZE].unflatten(-1, (NUM_TURNED, 3)))
        _, crosses = eye_and_crosses(pose.dtype, pose.device)
        turns = (rotations[:, :, None] @ (jacobian.mT @ crosses).unflatten(-1, (3, 3))).flatten(3).flatten(1, 2)
        decoder = self.prior.decoder
        answer, gate, outer_gate = decoder.opened(code)
        moved = decoder.push(gate, outer_gate, by_pose)
        if self.prior.answer == "6d":
            answer, moved = _orthonormal_moves(answer, moved)
        apart = (rotations.flatten(2) - answer.unflatten(-1, (NUM_TURNED, 9))) * self.scale
        lines = moved.neg_().unflatten(-1, (NUM_TURNED, 9))
        # A number of the pose turns its own joint beside moving what the decoder says of all.
        lines[:, self.rows, self.joints] += turns.index_select(1, self.turned)
        return apart.flatten(1), lines.mul_(self.scale).flatten(2)


def _orthonormal_moves(
    six: Float[Tensor, "batch sixes"], moved: Float[Tensor, "batch moves sixes"]
) -> tuple[Float[Tensor, "batch nines"], Float[Tensor, "batch moves nines"]]:
    """Gram-Schmidt of the decoder's two columns per joint, and what moves of them do to the rotations."""
    pair, pairs = six.unflatten(-1, (-1, 3, 2))[:, None], moved.unflatten(-1, (-1, 3, 2))
    rotation = rot6d_to_rotmat(six.unflatten(-1, (-1, 6)), "interleaved")
    first, second = rotation[:, None, ..., 0], rotation[:, None, ..., 1]
    along = (first * pair[..., 1]).sum(-1, keepdim=True)
    by_first = _unit_moves(first, pairs[..., 0], pair[..., 0].norm(dim=-1, keepdim=True))
    shift = (by_first * pair[..., 1] + first * pairs[..., 1]).sum(-1, keepdim=True)
    rest = pairs[..., 1] - shift * first - along * by_first
    by_second = _unit_moves(second, rest, (pair[..., 1] - along * first).norm(dim=-1, keepdim=True))
    by_third = torch.linalg.cross(by_first, second.expand_as(by_second)) + torch.linalg.cross(
        first.expand_as(by_second), by_second
    )
    return rotation.flatten(1), torch.stack([by_first, by_second, by_third], dim=-1).flatten(2)


def _unit_moves(unit: Tensor, moves: Tensor, length: Tensor) -> Tensor:
    return (moves - (unit * moves).sum(-1, keepdim=True) * unit) / length.clamp_min(1e-9)
