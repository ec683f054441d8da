"""Rebuilds the open body: `python -m fitloop.body.build --out body/assets`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from fitloop.body.build.bodies import Bodies, model_bodies, stand_in_tpose
from fitloop.body.build.files import rounded, save_arrays, write_manifest
from fitloop.body.build.landmarks import LEFT_CUBES, Regressor, landmark_weights
from fitloop.body.build.regress import joint_regressor, nearby, regress_point
from fitloop.body.build.shapes import ShapeSpace, principal_components, sample_people
from fitloop.body.build.skeleton import BENDING_JOINTS, crease_weights, cube_vertices, fold_weights, sparse_weights
from fitloop.body.build.source import BaseMesh, data_folder, read_base_mesh, read_targets, read_weights
from fitloop.body.build.surface import Surface, body_surface, vertex_areas
from fitloop.body.keypoints import SURFACE_LANDMARKS
from fitloop.body.params import JOINT_NAMES, JOINT_PARENTS

NAME, VERSION = "open-1", 1


@dataclass(frozen=True)
class BuildConfig:
    """Where and from how many samples to build the open body."""

    out: Path
    """Folder that gets open_body.npz, wardrobe.npz and manifest.json."""
    samples: int = 1000
    """Adults sampled for the shape space."""
    seed: int = 0
    """Seed of the sampling."""


@dataclass(frozen=True)
class Fitted:
    """Everything the files are written from, over all vertices of the base mesh."""

    mesh: BaseMesh
    surface: Surface
    weights: np.ndarray
    bodies: Bodies
    space: ShapeSpace
    joint_weights: np.ndarray
    landmarks: np.ndarray


def fit_body(config: BuildConfig) -> Fitted:
    """Samples adults, puts them into the T-pose and fits shape space and regressors."""
    folder = data_folder()
    mesh = read_base_mesh(folder)
    surface = body_surface(mesh)
    count = len(mesh.vertices)
    weights = fold_weights(read_weights(folder, "default", count), mesh)
    modelled = model_bodies(mesh, read_targets(folder, count), sample_people(config.samples, config.seed))
    importance = np.zeros(count)
    areas = vertex_areas(mesh.vertices[surface.base_vertices], surface.faces)
    importance[surface.base_vertices] = areas / areas.sum()
    skin = np.zeros(count, bool)
    skin[mesh.group_vertices("body")] = True
    # MakeHuman's joint cubes drift against the skin from shape to shape (knees by 2 cm). A joint is where the skin
    # around it says, on average over shapes where MakeHuman has it.
    cubes = modelled[:, cube_vertices(mesh)].mean(2)
    for joint in map(JOINT_NAMES.index, BENDING_JOINTS):
        cubes[:, joint] = (cubes[:, joint] + crease_weights(weights, joint, skin) @ modelled) / 2
    modelled_space = principal_components(modelled, importance)
    definition = joint_regressor(cubes, modelled_space, weights, skin, mesh.mirror)
    bodies = stand_in_tpose(mesh, modelled, definition @ modelled, weights)
    space = principal_components(bodies.vertices, importance)
    joint_weights = joint_regressor(bodies.joints, space, weights, skin, mesh.mirror)
    knuckles = {}
    for name, cube in LEFT_CUBES.items():
        points = bodies.vertices[:, mesh.group_vertices(cube)].mean(1)
        hand = skin & (weights[:, [JOINT_NAMES.index("left_wrist"), JOINT_NAMES.index("left_hand")]].sum(1) > 0.9)
        knuckles[name] = regress_point(points, space, nearby(space, points.mean(0), hand, 0.03))
    return Fitted(mesh, surface, weights, bodies, space, joint_weights, landmark_weights(mesh, knuckles))


def body_arrays(fitted: Fitted) -> dict[str, np.ndarray]:
    """Arrays of open_body.npz."""
    base, faces = fitted.surface.base_vertices, fitted.surface.faces
    indices, values = sparse_weights(fitted.weights[base])
    joints = Regressor.from_dense(fitted.joint_weights[:, base])
    keypoints = Regressor.from_dense(fitted.landmarks[:, base])
    return {
        "name": np.array(NAME),
        "version": np.array(VERSION),
        "template": rounded(fitted.space.template[base]),
        "shapedirs": rounded(fitted.space.directions[base]),
        "joint_names": np.array(JOINT_NAMES),
        "parents": np.array(JOINT_PARENTS),
        "joint_regressor_rows": joints.rows,
        "joint_regressor_cols": joints.cols,
        "joint_regressor_values": joints.values,
        "lbs_indices": indices,
        "lbs_weights": values,
        "faces": faces.astype(np.int32),
        "uv": fitted.surface.uv.astype(np.float32),
        "uv_faces": fitted.surface.uv_faces.astype(np.int32),
        "base_vertices": base.astype(np.int32),
        "vertex_parts": fitted.weights[base].argmax(1).astype(np.uint8),
        "face_parts": fitted.weights[base][faces].sum(1).argmax(1).astype(np.uint8),
        "keypoint_names": np.array(SURFACE_LANDMARKS),
        "keypoint_rows": keypoints.rows,
        "keypoint_cols": keypoints.cols,
        "keypoint_values": keypoints.values,
    }


def wardrobe_arrays(fitted: Fitted) -> dict[str, np.ndarray]:
    """Arrays of wardrobe.npz: the whole base mesh, helpers included, with the same shape coefficients."""
    indices, values = sparse_weights(fitted.weights)
    left, _, right = np.linalg.svd(fitted.bodies.rotations.mean(0))
    return {
        "name": np.array(NAME),
        "version": np.array(VERSION),
        "template": rounded(fitted.space.template),
        "shapedirs": rounded(fitted.space.directions).astype(np.float16),
        "lbs_indices": indices,
        "lbs_weights": values,
        "offset_rotations": rounded(left @ right),
    }


def report(fitted: Fitted) -> None:
    """Prints the figures of the shape space and of the joint regressor."""
    base, space = fitted.surface.base_vertices, fitted.space
    samples = fitted.bodies.vertices[:, base]
    errors, joint_errors, joint_full = [], [], []
    regressor = fitted.joint_weights[:, base]
    for sample, scores, joints in zip(samples, space.scores, fitted.bodies.joints, strict=True):
        rebuilt = space.template[base] + space.directions[base] @ scores
        errors.append(np.linalg.norm(rebuilt - sample, axis=1))
        joint_errors.append(np.linalg.norm(regressor @ rebuilt - joints, axis=1))
        joint_full.append(np.linalg.norm(regressor @ sample - joints, axis=1))
    squared = np.square(errors).mean()
    print(f"explained variance {space.explained:.5f}, rms vertex error {1000 * np.sqrt(squared):.2f} mm")
    stature = np.ptp(samples[..., 1], axis=1)
    print(f"stature in the T-pose {stature.mean():.3f} m, deviation {stature.std():.3f} m")
    for index, name in enumerate(JOINT_NAMES):
        column = 1000 * np.array(joint_errors)[:, index]
        full = 1000 * np.array(joint_full)[:, index]
        print(f"{name:15s} mean {column.mean():.2f} max {column.max():.2f} mm, unreduced max {full.max():.2f} mm")


def main(config: BuildConfig) -> None:
    """Builds and writes all files."""
    fitted = fit_body(config)
    config.out.mkdir(parents=True, exist_ok=True)
    save_arrays(config.out / "open_body.npz", body_arrays(fitted))
    save_arrays(config.out / "wardrobe.npz", wardrobe_arrays(fitted))
    write_manifest(config.out, ("open_body.npz", "wardrobe.npz"))
    report(fitted)


if __name__ == "__main__":
    main(tyro.cli(BuildConfig))
