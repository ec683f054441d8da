"""Smooth fields of motion along the normals of a body: what hair and clothes may add to it.

A field s gives every vertex a distance along a fixed direction of the rest pose, so that clothes follow the limbs:
v = W(T + s n), the SMPL+D of Alldieck et al. 2018, with one number per vertex instead of three. Its roughness
is the integral of the squared Laplacian over the surface, plus a small term of its magnitude. Only fields that are the
smoothest ones through a few hundred fixed vertices are considered; they are found once per body by one sparse
factorisation.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.sparse as sparse
import torch
from jaxtyping import Float
from scipy.sparse.linalg import splu
from torch import Tensor
from torch.nn.functional import normalize

from fitloop.body import Body
from fitloop.refinement.points import spread_points
from fitloop.rendering.interpolation import vertex_normals

NODES = 400
"""Vertices that steer the field: one every 6.7 cm."""
REACH = 0.25
"""Metres over which a field falls back to nothing where nothing holds it."""
_STIFF = 3000.0
"""How much more the magnitude counts at hands and face."""
_FACE = 0.06
"""Metres around eyes, nose and mouth that are face."""
_BODY, _HEAD, _FOOT, _BARE = 0.08, 0.15, 0.04, 0.01
"""Largest offsets in metres: clothes, hair and hats, shoes, hands and face."""
_SHRINK, _THIN_SHRINK = 0.03, 0.01
"""Metres by which a wrong shape may be taken in, at trunk and thighs and at what is thin."""
_THIN = ("neck", "head", "elbow", "wrist", "hand", "knee", "ankle", "foot")
"""Joints that move forearms, shins and what else is thin."""
_SMALLEST = 1e-6
"""Square metres that a vertex stands for at least; thin triangles are no reason for infinite roughness."""


@dataclass(frozen=True)
class OffsetSpace:
    """Fields of motion of one body; made by `offset_space`."""

    directions: Float[Tensor, "vertices 3"]
    """Unit vectors of the rest pose: normals, averaged over the neighbourhood so that ears and fingers stay whole."""
    spread: Float[np.ndarray, "vertices nodes"]
    """The field at every vertex from the field at the nodes."""
    roughness: Float[np.ndarray, "nodes nodes"]
    """Quadratic form of the field at the nodes: integral of (Laplacian s)^2 + (s / REACH^2)^2, without a unit."""
    limits: Float[np.ndarray, "vertices"]
    """Largest offset, metres."""
    shrink: Float[np.ndarray, "vertices"]
    """Largest offset inwards, metres."""
    bare: Float[np.ndarray, "vertices"]
    """1 at hands and face, which wear nothing; else 0."""


def offset_space(body: Body, nodes: int = NODES) -> OffsetSpace:
    """Prepare a body for offsets; about two seconds at the first call for a body, then remembered.

    Args:
        body: A closed surface with faces; any number of pieces.
        nodes: Vertices that steer the field.
    """
    return _offset_space(body, min(nodes, len(body.template)))


@lru_cache(maxsize=2)
def _offset_space(body: Body, nodes: int) -> OffsetSpace:
    bare = _bare(body)
    laplacian, area = cotangent_laplacian(body.template.double().cpu().numpy(), body.faces.cpu().numpy())
    # Hands and face wear nothing: there the magnitude costs so much that neighbours end in a hem.
    magnitude = area / REACH**4 * (1.0 + _STIFF * bare)
    energy = laplacian.T @ sparse.diags(1.0 / area) @ laplacian + sparse.diags(magnitude)
    chosen = np.array(spread_points(body, nodes).vertices)
    pulls = np.zeros((len(area), len(chosen)))
    pulls[chosen, np.arange(len(chosen))] = 1.0
    # The smoothest field through given values at the nodes is a sum of the answers to a pull at each node.
    answers = splu(energy.tocsc(), options={"SymmetricMode": True}).solve(pulls)
    roughness = np.linalg.inv(answers[chosen])
    roughness = (roughness + roughness.T) / 2.0
    spread = (answers @ roughness).astype(np.float32)
    limits = _limits(body, bare)
    shrink = np.minimum(limits, _SHRINK + (_THIN_SHRINK - _SHRINK) * _share(body, *_THIN))
    return OffsetSpace(_directions(body, laplacian, area), spread, roughness, limits, shrink, bare)


def cotangent_laplacian(
    vertices: Float[np.ndarray, "vertices 3"], faces: np.ndarray
) -> tuple[sparse.csr_matrix, Float[np.ndarray, "vertices"]]:
    """Stiffness matrix of a surface by cotangents (Pinkall and Polthier 1993), and the area of each vertex.

    Cotangents are kept between 0.02 and 20, so that folded and needle-like triangles do no harm.

    Args:
        vertices: Metres.
        faces: (faces, 3) indices.

    Returns:
        The matrix (positive semi-definite, rows sum to 0), and square metres.
    """
    count = len(vertices)
    rows, columns, values = [], [], []
    corners = vertices[faces]
    area = 0.5 * np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=-1)
    for k in range(3):
        a, b = corners[:, (k + 1) % 3] - corners[:, k], corners[:, (k + 2) % 3] - corners[:, k]
        cotangent = (a * b).sum(-1) / np.maximum(2.0 * area, 1e-12)
        rows.append(faces[:, (k + 1) % 3])
        columns.append(faces[:, (k + 2) % 3])
        values.append(0.5 * cotangent.clip(0.02, 20.0))
    pairs = (np.concatenate(rows), np.concatenate(columns))
    weights = sparse.coo_matrix((np.concatenate(values), pairs), shape=(count, count)).tocsr()
    weights = weights + weights.T
    stiffness = sparse.diags(np.asarray(weights.sum(1)).ravel()) - weights
    share = np.bincount(faces.ravel(), np.repeat(area / 3.0, 3), count)
    return stiffness.tocsr(), np.maximum(share, _SMALLEST)


def _directions(body: Body, laplacian: sparse.csr_matrix, area: np.ndarray) -> Tensor:
    """Normals after some centimetres of diffusion."""
    normals = vertex_normals(body.template, body.faces).double().cpu().numpy()
    diffused = splu((sparse.diags(area) + 0.03**2 * laplacian).tocsc()).solve(area[:, None] * normals)
    # Deep in folds, such as the mouth, nothing is left to normalise; such vertices keep their own normal.
    length = np.linalg.norm(diffused, axis=-1, keepdims=True)
    chosen = np.where(length > 0.05, diffused, normals)
    return normalize(torch.from_numpy(chosen).to(body.template), dim=-1)


def _share(body: Body, *words: str) -> Float[np.ndarray, "vertices"]:
    """How much the joints whose names end in one of the words move each vertex."""
    rows = [number for number, name in enumerate(body.joint_names) if name.endswith(words)]
    return body.lbs_weights[:, rows].sum(-1).double().cpu().numpy()


def _bare(body: Body) -> Float[np.ndarray, "vertices"]:
    names = [n for n in ("nose", "left_eye", "right_eye", "left_mouth", "right_mouth") if n in body.landmark_names]
    rows = [body.landmark_names.index(name) for name in names]
    face = np.zeros(len(body.template), bool)
    if rows:
        away = torch.cdist(body.template, body.landmark_weights[rows] @ body.template).amin(-1)
        face = (away < _FACE).cpu().numpy()
    return (face | (_share(body, "wrist", "hand") > 0.5)).astype(np.float64)


def _limits(body: Body, bare: np.ndarray) -> Float[np.ndarray, "vertices"]:
    head, foot = _share(body, "head"), _share(body, "foot", "ankle")
    limits = _BODY + (_HEAD - _BODY) * head + (_FOOT - _BODY) * foot
    return np.where(bare > 0, _BARE, limits)
