"""The user's own SMPL file, posed by the ``smplx`` package.

SMPL files are licensed: the project ships none. Get one from the authors' site and pass its path as the body.
"""

import contextlib
import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fitloop.body.model import Body
from fitloop.body.params import JOINT_PARENTS, NUM_BETAS, NUM_JOINTS, BodyParams
from fitloop.body.records import BodyMesh
from fitloop.body.safe_pickle import load_arrays, load_npz

SMPL_VERTICES = 6890
VERTEX_LANDMARKS = {
    **{"nose": 332, "right_eye": 6260, "left_eye": 2800, "right_ear": 4071, "left_ear": 583, "head_top": 411},
    **{"left_big_toe": 3216, "left_small_toe": 3226, "left_heel": 3387},
    **{"right_big_toe": 6617, "right_small_toe": 6624, "right_heel": 6787},
    **{"left_thumb_tip": 2746, "left_index_tip": 2319, "left_middle_tip": 2445, "left_ring_tip": 2556},
    **{"left_pinky_tip": 2673, "right_thumb_tip": 6191, "right_index_tip": 5782, "right_middle_tip": 5905},
    **{"right_ring_tip": 6016, "right_pinky_tip": 6133},
}
"""Surface points of SMPL's mesh, as the field picks them; the head's top is SMPLify's."""
EXTRA_REGRESSOR = "J_regressor_extra.npy"
EXTRA_LANDMARKS = (
    *("right_hip_lsp", "left_hip_lsp", "neck_lsp", "head_top", "pelvis_mpii"),
    *("thorax_mpii", "spine_h36m", "jaw_h36m", "head_h36m"),
)
"""Rows of SPIN's file; used where it lies beside the body file."""


@dataclass(frozen=True)
class SmplBody(Body):
    """SMPL, posed by the ``smplx`` package's SMPL class."""

    layer: Any = None
    """The ``smplx.SMPLLayer``; holds no pose."""

    def to(self, *args: Any) -> "SmplBody":
        """Move or convert, the layer included."""
        moved = super().to(*args)
        return replace(moved, layer=smplx_layer(moved))

    def __call__(self, params: BodyParams) -> BodyMesh:
        """Pose the body; see `Body.__call__`."""
        self.check(params)
        batch = params.transl.shape[:-1]
        posed = self.layer(
            betas=params.betas.reshape(-1, self.num_betas),
            body_pose=params.body_pose.reshape(-1, NUM_JOINTS - 1, 3, 3),
            global_orient=params.global_orient.reshape(-1, 1, 3, 3),
            transl=params.transl.reshape(-1, 3),
            pose2rot=False,
        )
        joints = posed.joints[:, :NUM_JOINTS]
        return BodyMesh(posed.vertices.reshape(*batch, -1, 3), joints.reshape(*batch, NUM_JOINTS, 3))


def smplx_layer(body: Body) -> Any:
    """Build ``smplx``'s SMPL from any body of this project; the oracle in tests, and what poses `SmplBody`.

    Args:
        body: Its tensors are copied, in their own precision.
    """
    import smplx

    vertices = body.template.shape[0]
    correctives = torch.zeros(vertices, 3, 207) if body.posedirs is None else body.posedirs
    data = SimpleNamespace(
        v_template=_numpy(body.template),
        shapedirs=_numpy(body.shapedirs),
        posedirs=_numpy(correctives),
        J_regressor=_numpy(body.joint_regressor),
        weights=_numpy(body.lbs_weights),
        kintree_table=np.array([JOINT_PARENTS, range(NUM_JOINTS)]),
        f=_numpy(body.faces),
    )
    face = {"nose": 0, "reye": 0, "leye": 0, "rear": 0, "lear": 0}
    with contextlib.redirect_stdout(io.StringIO()):
        layer = smplx.SMPLLayer(
            "",
            data_struct=data,
            vertex_ids=face,
            use_hands=False,
            use_feet_keypoints=False,
            dtype=body.template.dtype,
        )
    return layer.to(body.template.device)


def _numpy(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def load_smpl(path: Path) -> SmplBody:
    """Read a SMPL file without running anything in it.

    Args:
        path: ``.pkl`` as distributed (chumpy arrays are read without chumpy) or as cleaned by others (any protocol,
            sparse matrices, tensors), or ``.npz``. SPIN's ``J_regressor_extra.npy`` in the same folder adds LSP, MPII
            and Human3.6M landmarks.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is truncated, hostile, or not a SMPL body of 24 joints; says how to convert what is whole.
    """
    if not path.is_file():
        raise FileNotFoundError(f"No body file at {path}. Give the path of a SMPL .pkl or .npz file, or 'open'.")
    arrays = load_npz(path) if path.suffix.lower() == ".npz" else load_arrays(path)
    fields = _check(path, arrays)
    names, weights = _landmarks(path, len(fields["v_template"]))
    digest = hashlib.sha1(fields["v_template"].tobytes() + fields["shapedirs"].tobytes(), usedforsecurity=False)
    body = SmplBody(
        name=f"smpl-{digest.hexdigest()[:8]}",
        template=torch.from_numpy(fields["v_template"]),
        shapedirs=torch.from_numpy(fields["shapedirs"]),
        posedirs=torch.from_numpy(fields["posedirs"]),
        joint_regressor=torch.from_numpy(fields["J_regressor"]),
        lbs_weights=torch.from_numpy(fields["weights"]),
        faces=torch.from_numpy(fields["f"]),
        landmark_names=names,
        landmark_weights=weights,
    )
    return replace(body, layer=smplx_layer(body))


_SHAPES = {
    **{"v_template": ("V", 3), "shapedirs": ("V", 3, "B"), "posedirs": ("V", 3, 207)},
    **{"J_regressor": (24, "V"), "weights": ("V", 24), "f": ("F", 3), "kintree_table": (2, 24)},
}


def _check(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    missing = [key for key in _SHAPES if key not in arrays]
    if missing:
        raise ValueError(f"{path} is not a SMPL body: it lacks {', '.join(missing)}; it has {', '.join(arrays)}.")
    sizes: dict[str, int] = {}
    for key, expected in _SHAPES.items():
        found = arrays[key].shape
        bound = tuple(
            sizes.setdefault(n, s) if isinstance(n, str) else n for n, s in zip(expected, found, strict=False)
        )
        if found != bound or len(found) != len(expected):
            hint = " SMPL+H and SMPL-X files have more joints: give the SMPL file." if key == "weights" else ""
            raise ValueError(f"{path} is not a SMPL body: {key} has shape {found}, expected {expected}.{hint}")
    if arrays["shapedirs"].shape[-1] < NUM_BETAS:
        raise ValueError(
            f"{path} has {arrays['shapedirs'].shape[-1]} shape coefficients, expected {NUM_BETAS} or more."
        )
    parents = arrays["kintree_table"][0].astype(np.int64)[1:]
    if tuple(parents) != JOINT_PARENTS[1:]:
        raise ValueError(f"{path} has another joint tree than SMPL's: parents {parents.tolist()}.")
    fields: dict[str, np.ndarray] = {
        key: np.ascontiguousarray(arrays[key], dtype=np.float32) for key in _SHAPES if key != "f"
    }
    fields["shapedirs"] = np.ascontiguousarray(fields["shapedirs"][..., :NUM_BETAS])
    fields["f"] = np.ascontiguousarray(arrays["f"], dtype=np.int64)
    bad = [key for key, value in fields.items() if not np.isfinite(value).all()]
    if bad or fields["f"].min() < 0 or fields["f"].max() >= len(fields["v_template"]):
        raise ValueError(
            f"{path} is damaged: {', '.join(bad) or 'f'} holds values that are not finite or out of range."
        )
    return fields


def _landmarks(path: Path, vertices: int) -> tuple[tuple[str, ...], Tensor]:
    rows: dict[str, Tensor] = {}
    if vertices == SMPL_VERTICES:
        for name, vertex in VERTEX_LANDMARKS.items():
            rows[name] = torch.zeros(vertices)
            rows[name][vertex] = 1.0
    extra = path.parent / EXTRA_REGRESSOR
    if extra.is_file():
        table = np.load(extra, allow_pickle=False)
        if table.shape != (len(EXTRA_LANDMARKS), vertices):
            raise ValueError(
                f"{extra} has shape {table.shape}, expected {(len(EXTRA_LANDMARKS), vertices)}; remove it."
            )
        rows.update(zip(EXTRA_LANDMARKS, torch.from_numpy(table.astype(np.float32)), strict=True))
    return tuple(rows), torch.stack(list(rows.values())) if rows else torch.zeros(0, vertices)
