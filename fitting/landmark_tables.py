"""The constants of `fitloop.fitting.landmarks`, gathered once per body, set of landmarks and set of free joints."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fitloop.body import KeypointKinematics
from fitloop.body.params import JOINT_PARENTS, NUM_JOINTS
from fitloop.fitting.landmarks import Correctives, LandmarkTables, Split


@dataclass(frozen=True)
class Moments:
    """What `body.KeypointKinematics` knows of its landmarks: see there. A pair is a landmark's share of one joint."""

    joint_template: Float[Tensor, "joints 3"]
    joint_dirs: Float[Tensor, "joints 3 betas"]
    pair_landmark: Int[Tensor, "pairs"]
    pair_joint: Int[Tensor, "pairs"]
    pair_mass: Float[Tensor, "pairs"]
    pair_point: Float[Tensor, "pairs 3"]
    pair_dirs: Float[Tensor, "pairs 3 betas"]
    pair_correctives: Float[Tensor, "pairs 3 features"] | None
    gather: Float[Tensor, "landmarks pairs"]
    moved_by: Float[Tensor, "pairs joints"]
    subtree_mass: Float[Tensor, "landmarks joints"]


def make_tables(
    kinematics: KeypointKinematics | Moments, free: tuple[int, ...], transl: bool = True, betas: bool = True
) -> LandmarkTables:
    """Gather the constants.

    Args:
        kinematics: Which landmarks of which body.
        free: Joints that may turn, in ascending order.
        transl: Whether the body may move.
        betas: Whether its shape may change.
    """
    device, dtype = kinematics.joint_template.device, kinematics.joint_template.dtype
    parents = torch.tensor(JOINT_PARENTS[1:], device=device)
    template, shape = kinematics.joint_template, kinematics.joint_dirs
    mass, joint = kinematics.pair_mass, kinematics.pair_joint
    bones, bone_dirs = template[1:] - template[parents], shape[1:] - shape[parents]
    local = kinematics.pair_point - mass[:, None] * template[joint]
    local_dirs = kinematics.pair_dirs - mass[:, None, None] * shape[joint]
    columns = torch.tensor(free, dtype=torch.long, device=device)
    turned = kinematics.gather @ kinematics.moved_by
    split = _split(kinematics, columns)
    depth = _depths()
    order = sorted(range(NUM_JOINTS), key=lambda number: (depth[number], number))
    return LandmarkTables(
        free=free,
        transl=transl,
        betas=betas,
        carrier=torch.cat([parents, joint]),
        base=torch.cat([template[:1], bones, local]).flatten(),
        dirs=torch.cat([shape[:1], bone_dirs, local_dirs]).flatten(0, 1).mT.contiguous(),
        combine=_combine(kinematics, columns, split),
        moved=(turned > 0).to(dtype).mT[columns].repeat_interleave(3, dim=0),
        split=split,
        shape_moment=_shape_moments(kinematics, bone_dirs, local_dirs),
        root_dirs=shape[0][..., None],
        levels=tuple(_level(depth, order, level, device) for level in range(1, max(depth) + 1)),
        order=torch.tensor([order.index(number) for number in range(NUM_JOINTS)], device=device),
        free_index=columns,
        correctives=_correctives(kinematics, free),
    )


def _depths() -> list[int]:
    depth = [0]
    for parent in JOINT_PARENTS[1:]:
        depth.append(depth[parent] + 1)
    return depth


def _level(depth: list[int], order: list[int], level: int, device: torch.device) -> tuple[Tensor, Tensor]:
    above = [joint for joint in order if depth[joint] == level - 1]
    joints = [joint for joint in order if depth[joint] == level]
    places = [above.index(JOINT_PARENTS[joint]) for joint in joints]
    return torch.tensor(joints, device=device), torch.tensor(places, device=device)


def ancestry(like: Tensor) -> Float[Tensor, "joints joints"]:
    """Row j holds 1 at every joint whose rotation moves j, itself included."""
    table = torch.eye(NUM_JOINTS, dtype=like.dtype, device=like.device)
    for joint, parent in enumerate(JOINT_PARENTS[1:], start=1):
        table[joint] += table[parent]
    return table


def _split(kinematics: KeypointKinematics | Moments, free: Tensor) -> Split:
    """Pairs of which one share is turned and another is not."""
    shares = kinematics.gather.sum(1, keepdim=True)
    below = (kinematics.gather @ kinematics.moved_by)[:, free]
    landmark, joint = ((below > 0) & (below < shares - 1e-5)).nonzero(as_tuple=True)
    return Split(landmark, joint)


def _combine(kinematics: KeypointKinematics | Moments, free: Tensor, split: Split) -> Tensor:
    """Landmarks, free joints and levers of split pairs as sums of bones and shares, all from the root joint."""
    gather, mass = kinematics.gather, kinematics.pair_mass
    # Row j: the bones on the way from the root to joint j.
    way = ancestry(gather)[:, 1:]
    joints = torch.cat([way[free], gather.new_zeros(len(free), gather.shape[1])], dim=1)

    def place(shares: Tensor) -> Tensor:
        return torch.cat([(shares * mass) @ way[kinematics.pair_joint], shares], dim=1)

    below = place(gather[split.landmark] * kinematics.moved_by.mT[free[split.joint]])
    turned_mass = kinematics.subtree_mass[split.landmark, free[split.joint]]
    levers = below - turned_mass[:, None] * joints[split.joint]
    return torch.cat([place(gather), joints, levers]).mT.contiguous()


def _shape_moments(kinematics: KeypointKinematics | Moments, bone_dirs: Tensor, local_dirs: Tensor) -> Tensor:
    """Derivative of the landmarks by betas as a linear function of the joints' rotations, (72, betas * landmarks)."""
    landmarks, betas = kinematics.gather.shape[0], bone_dirs.shape[-1]
    rows: list[int] = []
    sources: list[int] = []
    pairs = zip(kinematics.pair_landmark.tolist(), kinematics.pair_joint.tolist(), strict=True)
    for landmark, joint in pairs:
        rows.append(joint * landmarks + landmark)
        sources.append(-1)
        while joint > 0:
            # A bone is turned by the rotation of the joint above it; the root's own offset is not turned at all.
            rows.append(JOINT_PARENTS[joint] * landmarks + landmark)
            sources.append(joint - 1)
            joint = JOINT_PARENTS[joint]
    # A CPU adds them in this order, other devices in any: their last bits would change from run to run.
    source, mass = torch.tensor(sources), kinematics.pair_mass.cpu()
    pair = (source < 0).long().cumsum(0) - 1
    bones = mass[pair, None, None] * bone_dirs.cpu()[source]
    parts = torch.where((source < 0)[:, None, None], local_dirs.cpu()[pair], bones)
    moments = torch.zeros(NUM_JOINTS * landmarks, 3, betas, dtype=bone_dirs.dtype)
    moments.index_add_(0, torch.tensor(rows), parts)
    moments = moments.unflatten(0, (NUM_JOINTS, landmarks)).permute(0, 2, 3, 1).flatten(2).flatten(0, 1)
    return moments.to(bone_dirs.device)


def _correctives(kinematics: KeypointKinematics | Moments, free: tuple[int, ...]) -> Correctives | None:
    offsets = kinematics.pair_correctives
    if offsets is None:
        return None
    pairs = offsets.flatten(1).any(-1).nonzero()[:, 0]
    if not len(pairs):
        return None
    return Correctives(
        parts=pairs + NUM_JOINTS - 1,
        table=offsets[pairs].flatten(0, 1).mT.contiguous(),
        gather=kinematics.gather[:, pairs].contiguous(),
        root=0 in free,
    )
