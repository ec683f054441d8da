"""Capsules: a body as some twenty spheres swept along line segments, for cheap tests of interpenetration.

After SMPLify (Bogo et al. 2016, section 3.2), which fits capsules to SMPL's body parts and lets axis length and
radius follow the shape coefficients. Here each capsule is fitted to the skin of its joints by least squares, and its
dependence on shape follows from the same normal equations.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fitloop.body.params import JOINT_NAMES, JOINT_PARENTS

_SIDES = ("left_", "right_")
_CHAIN_PARTS = tuple(
    part
    for side in _SIDES
    for part in (
        (f"{side}upper_arm", f"{side}shoulder", (f"{side}shoulder",), f"{side}elbow"),
        (f"{side}forearm", f"{side}elbow", (f"{side}elbow",), f"{side}wrist"),
        (f"{side}thigh", f"{side}hip", (f"{side}hip",), f"{side}knee"),
        (f"{side}shin", f"{side}knee", (f"{side}knee",), f"{side}ankle"),
        (f"{side}hand", f"{side}wrist", (f"{side}wrist", f"{side}hand"), None),
        (f"{side}foot", f"{side}ankle", (f"{side}ankle", f"{side}foot"), None),
    )
)
PARTS: tuple[tuple[str, str, tuple[str, ...], str | None], ...] = (
    ("pelvis", "pelvis", ("pelvis",), None),
    ("belly", "spine1", ("spine1",), None),
    ("ribs", "spine2", ("spine2",), None),
    ("chest", "spine3", ("spine3",), None),
    ("shoulders", "spine3", ("left_collar", "right_collar"), None),
    ("neck", "neck", ("neck",), "head"),
    ("head", "head", ("head",), None),
    *_CHAIN_PARTS,
)
"""Name, joint that carries it, joints whose skin it covers, and the joint at its other end; None: along the skin."""
TRUNK = ("pelvis", "belly", "ribs", "chest", "shoulders", "neck")
"""Parts that come close to one another in every bow and never collide."""

THINNING = 0.015
"""Metres: one vertex per cube of this size takes part, so that dense faces and fingers do not outweigh the rest."""
PRIOR = 0.1
"""Pull of the ends towards joints or extreme vertices, against the pull of all the skin."""
ITERATIONS = 12
END_SHARE = 0.2
"""Share of a part's vertices, at either extreme, whose mean starts an end."""


@dataclass(frozen=True)
class Capsules:
    """Capsules of a body in its T-pose, each carried rigidly by one joint."""

    names: tuple[str, ...]
    joint: Int[Tensor, "capsules"]
    """Index in `JOINT_NAMES` of the joint whose frame carries each capsule."""
    ends: Float[Tensor, "capsules 2 3"]
    """Ends of the axis relative to that joint, mean shape, metres."""
    ends_dirs: Float[Tensor, "capsules 2 3 betas"]
    """Their change per unit of each shape coefficient."""
    radius: Float[Tensor, "capsules"]
    """Metres, mean shape."""
    radius_dirs: Float[Tensor, "capsules betas"]
    """Its change per unit of each shape coefficient."""
    pairs: Int[Tensor, "pairs 2"]
    """Capsules that may run into one another: no neighbours, not both of the trunk, apart in the mean T-pose."""

    def pose(
        self,
        rotations: Float[Tensor, "*batch joints 3 3"],
        joints: Float[Tensor, "*batch joints 3"],
        betas: Float[Tensor, "*batch betas"],
    ) -> tuple[Float[Tensor, "*batch capsules 2 3"], Float[Tensor, "*batch capsules"]]:
        """Ends and radii of a posed body.

        Args:
            rotations: Of each joint in the frame wanted, not relative to its parent.
            joints: Posed joints in the same frame, metres.
            betas: Shape coefficients.

        Returns:
            Ends of each axis in that frame, and radii, metres.
        """
        ends = self.ends + torch.einsum("ceik,...k->...cei", self.ends_dirs, betas)
        turned = torch.einsum("...cij,...cej->...cei", rotations[..., self.joint, :, :], ends)
        radius = self.radius + torch.einsum("ck,...k->...c", self.radius_dirs, betas)
        return turned + joints[..., self.joint, None, :], radius


def fit_capsules(
    template: Float[Tensor, "vertices 3"],
    shapedirs: Float[Tensor, "vertices 3 betas"],
    joint_regressor: Float[Tensor, "joints vertices"],
    lbs_weights: Float[Tensor, "vertices joints"],
) -> Capsules:
    """Fit capsules to any body with SMPL's 24 joints.

    Args:
        template: T-pose of the mean shape, metres.
        shapedirs: Metres per unit of each shape coefficient.
        joint_regressor: T-pose joints from T-pose vertices.
        lbs_weights: Skinning weights; a vertex belongs to the joint with its largest.

    Raises:
        ValueError: If the body has other joints, or a part without skin.
    """
    if joint_regressor.shape[0] != len(JOINT_NAMES):
        raise ValueError(f"Capsules need SMPL's {len(JOINT_NAMES)} joints, but this body has {len(joint_regressor)}.")
    like = template  # the fit runs in double precision on the CPU; the result goes where the body is
    template, shapedirs, joint_regressor = (x.double().cpu() for x in (template, shapedirs, joint_regressor))
    owner = lbs_weights.argmax(-1).cpu()
    joints = joint_regressor @ template
    joint_dirs = torch.einsum("jv,vcb->jcb", joint_regressor, shapedirs)
    fitted = []
    for name, carrier, covered, far in PARTS:
        chosen = _thinned(template, torch.isin(owner, torch.tensor([JOINT_NAMES.index(c) for c in covered])))
        if len(chosen) < 4:
            raise ValueError(f"No capsule fits the part {name!r}: only {len(chosen)} vertices of its skin are left.")
        skin, skin_dirs = template[chosen], shapedirs[chosen]
        if far is None:
            shares = _extremes(skin)
            start, start_dirs = shares @ skin, torch.einsum("ev,vcb->ecb", shares, skin_dirs)
        else:
            both = [JOINT_NAMES.index(carrier), JOINT_NAMES.index(far)]
            start, start_dirs = joints[both], joint_dirs[both]
        ends, radius = _fit_one(skin, start)
        ends_dirs, radius_dirs = _sensitivity(skin, skin_dirs, ends, start_dirs)
        index = JOINT_NAMES.index(carrier)
        fitted.append((index, ends - joints[index], ends_dirs - joint_dirs[index], radius, radius_dirs))
    index, ends, ends_dirs, radius, radius_dirs = zip(*fitted, strict=True)
    joint = torch.tensor(index)
    ends, radius = torch.stack(ends), torch.stack(radius)
    return Capsules(
        names=tuple(part[0] for part in PARTS),
        joint=joint.to(like.device),
        ends=ends.to(like),
        ends_dirs=torch.stack(ends_dirs).to(like),
        radius=radius.to(like),
        radius_dirs=torch.stack(radius_dirs).to(like),
        pairs=_pairs_that_may_collide(ends + joints[joint][:, None], radius).to(like.device),
    )


def segment_distance(
    points: Float[Tensor, "*#batch 3"], ends: Float[Tensor, "*#batch 2 3"]
) -> tuple[Float[Tensor, "..."], Float[Tensor, "... 3"], Float[Tensor, "..."]]:
    """Distance of points from line segments.

    Args:
        points: Metres.
        ends: Of one segment per point; the leading axes broadcast.

    Returns:
        Distance; unit vector from the nearest point of the segment to the point; where on the segment that nearest
        point is, from 0 at the first end to 1 at the second.
    """
    axis = ends[..., 1, :] - ends[..., 0, :]
    squared = (axis * axis).sum(-1).clamp_min(1e-12)
    along = (((points - ends[..., 0, :]) * axis).sum(-1) / squared).clamp(0, 1)
    offset = points - ends[..., 0, :] - along[..., None] * axis
    distance = offset.norm(dim=-1).clamp_min(1e-9)
    return distance, offset / distance[..., None], along


def _thinned(vertices: Float[Tensor, "vertices 3"], mask: Bool[Tensor, "vertices"]) -> Int[Tensor, "chosen"]:
    """Of the masked vertices, the first in each cube of space."""
    chosen = mask.nonzero()[:, 0]
    cells = (vertices[chosen] / THINNING).floor().long()
    _, group = torch.unique(cells, dim=0, return_inverse=True)
    first = torch.full((int(group.max()) + 1 if len(group) else 0,), len(group))
    first = first.scatter_reduce(0, group, torch.arange(len(group)), "amin")
    return chosen[first.sort().values]


def _extremes(skin: Float[Tensor, "skin 3"]) -> Float[Tensor, "2 skin"]:
    """Weights whose means are the two extremes of a part along its longest direction."""
    centred = skin - skin.mean(0)
    along = centred @ torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -1]
    order = along.argsort()
    count = max(1, int(END_SHARE * len(skin)))
    shares = torch.zeros(2, len(skin), dtype=skin.dtype)
    shares[0, order[:count]] = 1 / count
    shares[1, order[-count:]] = 1 / count
    return shares


def _jacobian(normal: Float[Tensor, "skin 3"], along: Float[Tensor, "skin"]) -> Float[Tensor, "rows 7"]:
    """Of distance minus radius for every vertex, then of the pull of the ends; by ends (6) and radius."""
    by_ends = torch.cat([-(1 - along)[:, None] * normal, -along[:, None] * normal], dim=1)
    skin = torch.cat([by_ends, -torch.ones_like(along)[:, None]], dim=1) / len(along) ** 0.5
    pull = PRIOR * torch.eye(7, dtype=normal.dtype)[:6]
    return torch.cat([skin, pull])


def _fit_one(
    skin: Float[Tensor, "skin 3"], start: Float[Tensor, "2 3"]
) -> tuple[Float[Tensor, "2 3"], Float[Tensor, ""]]:
    """Gauss-Newton on the mean squared distance of skin from the capsule's surface."""
    ends = start
    radius = segment_distance(skin, ends)[0].mean()
    for _ in range(ITERATIONS):
        distance, normal, along = segment_distance(skin, ends)
        jacobian = _jacobian(normal, along)
        residual = torch.cat([(distance - radius) / len(skin) ** 0.5, PRIOR * (ends - start).flatten()])
        step = torch.linalg.lstsq(jacobian, -residual[:, None]).solution[:, 0]
        ends, radius = ends + step[:6].reshape(2, 3), radius + step[6]
    return ends, radius


def _sensitivity(
    skin: Float[Tensor, "skin 3"],
    skin_dirs: Float[Tensor, "skin 3 betas"],
    ends: Float[Tensor, "2 3"],
    start_dirs: Float[Tensor, "2 3 betas"],
) -> tuple[Float[Tensor, "2 3 betas"], Float[Tensor, "betas"]]:
    """How the fitted ends and radius move with shape: the normal equations, differentiated at the fit."""
    _, normal, along = segment_distance(skin, ends)
    by_shape = torch.einsum("vc,vcb->vb", normal, skin_dirs) / len(skin) ** 0.5
    change = torch.cat([by_shape, -PRIOR * start_dirs.flatten(0, 1)])
    moved = torch.linalg.lstsq(_jacobian(normal, along), -change).solution
    return moved[:6].reshape(2, 3, -1), moved[6]


def _pairs_that_may_collide(
    ends: Float[Tensor, "capsules 2 3"], radius: Float[Tensor, "capsules"]
) -> Int[Tensor, "pairs 2"]:
    """Pairs that are no neighbours on the tree, not both of the trunk, and whose surfaces are apart in the T-pose."""
    trunk = [part[0] in TRUNK for part in PARTS]
    covered = [{JOINT_NAMES.index(c) for c in part[2]} for part in PARTS]
    near = [joints | {JOINT_PARENTS[j] for j in joints} for joints in covered]
    samples = torch.linspace(0, 1, 33, dtype=ends.dtype)
    line = ends[:, :1] + samples[None, :, None] * (ends[:, 1:] - ends[:, :1])
    pairs = []
    for first in range(len(PARTS)):
        for second in range(first + 1, len(PARTS)):
            neighbours = near[first] & covered[second] or near[second] & covered[first]
            neighbours = neighbours or (trunk[first] and trunk[second])
            gap = segment_distance(line[first], ends[second])[0].min() - radius[first] - radius[second]
            if not neighbours and gap > 0:
                pairs.append((first, second))
    return torch.tensor(pairs)
