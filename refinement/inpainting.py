"""Whole textures: colours flow over the surface from what photos showed to what none did."""

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree
from torch import Tensor

from fitloop.body import Body
from fitloop.refinement.inputs import Appearance
from fitloop.refinement.texture import body_cells, spread_over_cells

_MIRROR = 0.3
"""Pull towards the colour of the mirrored vertex, where that was seen; 1 is the pull of one neighbour."""
_USUAL = 2e-3
"""Pull towards the usual colour of the cell, where one is known: felt beyond some 20 vertices."""
_ANY = 1e-6
"""Pull towards the mean of all that was seen; decides only where nothing else does."""
GUESSED = 0.5
"""How far a filled vertex is known."""


def fill_over_surface(body: Body, seen: Appearance) -> Appearance:
    """Give every unseen vertex the colour that continues what was seen most smoothly.

    Seen vertices stay. The others minimise the squared differences along the edges of the mesh (the uniform
    Laplacian), and from the colour of the vertex that mirrors them left to right, where that was seen; weakly, from the
    usual colour of their cell (`body_cells`).

    Args:
        body: The body model.
        seen: From `merge_appearances`.

    Returns:
        Colours of all vertices; people of whom nothing was seen stay unknown.
    """
    # Sparse systems are solved by SciPy, on the CPU; a texture is filled once.
    neighbours, mirror = _neighbours(body), mirrored_vertices(body)
    usual = spread_over_cells(seen, body_cells(body))
    rows = [
        _fill_one(neighbours, mirror, (colors, known), (guess, guessed))
        for colors, known, guess, guessed in zip(seen.colors, seen.known, usual.colors, usual.known, strict=True)
    ]
    any_seen = (seen.known > 0).any(-1, keepdim=True)
    known = torch.where(seen.known > 0, seen.known, GUESSED * any_seen)
    return Appearance(torch.stack(rows) if rows else seen.colors, known)


def _fill_one(
    neighbours: csr_matrix, mirror: Tensor, seen: tuple[Tensor, Tensor], usual: tuple[Tensor, Tensor]
) -> Float[Tensor, "vertices 3"]:
    colors, known = (part.detach().cpu().double().numpy() for part in seen)
    wanted = known <= 0
    if wanted.all() or not wanted.any():
        return seen[0]
    other = mirror.cpu().numpy()
    pulls = (
        (_MIRROR * (known[other] > 0), colors[other]),
        (_USUAL * (usual[1].cpu().numpy() > 0), usual[0].detach().cpu().double().numpy()),
        (np.full(len(known), _ANY), np.broadcast_to(colors[~wanted].mean(0), colors.shape)),
    )
    laplacian = diags(np.asarray(neighbours.sum(1)).ravel()) - neighbours
    system = csr_matrix(laplacian + diags(np.sum([pull for pull, _ in pulls], 0)))
    right = sum(pull[:, None] * towards for pull, towards in pulls) + neighbours[:, ~wanted] @ colors[~wanted]
    filled = colors.copy()
    filled[wanted] = splu(system[wanted][:, wanted].tocsc()).solve(right[wanted])
    return torch.from_numpy(filled.clip(0.0, 1.0)).to(seen[0])


def _neighbours(body: Body) -> csr_matrix:
    """1 for each pair of vertices that share an edge."""
    faces = body.faces.cpu().numpy()
    ends = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    ends = np.concatenate([ends, ends[:, ::-1]])
    count = len(body.template)
    found = csr_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    # Two faces share most edges, and duplicates are added up.
    found.data[:] = 1.0
    return found


def mirrored_vertices(body: Body) -> Int[Tensor, "vertices"]:
    """The vertex nearest to where each lies when left and right change sides."""
    template = body.template.cpu().numpy()
    nearest = torch.from_numpy(KDTree(template).query(template * np.array([-1.0, 1.0, 1.0]))[1])
    return nearest.to(body.template.device)
