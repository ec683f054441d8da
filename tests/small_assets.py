"""A folder of assets made here: plain textures, garments that are the body's own skin moved outwards, twelve clips."""

import csv

import numpy as np
import PIL.Image
import torch

from fitloop.body import load_body
from fitloop.body.assets import asset_path

GARMENTS = {
    **{"male_casualsuit01": "trunk", "male_casualsuit02": "trunk", "female_casualsuit01": "trunk"},
    **{"female_casualsuit02": "trunk", "F_Dress_01": "trunk", "F_Dress_02": "trunk", "Coat": "trunk"},
    **{"TubeTop": "chest", "VNeckTop": "chest", "Tightjeans": "legs", "ShortJeans": "legs", "miniskirt": "legs"},
    **{"F_Bikini_01": "chest", "shoes01": "feet", "shoes02": "feet", "short01": "head", "short02": "head"},
    **{"fedora": "head", "glasses": "head"},
}
HEIGHTS = {"trunk": (-0.8, 0.35), "chest": (0.0, 0.35), "legs": (-0.8, 0.0), "feet": (-1.1, -0.85), "head": (0.6, 0.8)}


def write_assets(folder):
    """Write a folder that `fitloop.data.synthetic.load_assets` reads."""
    _write_people(folder / "people")
    _write_backgrounds(folder / "backgrounds")
    _write_mocap(folder / "mocap")


def _write_people(folder):
    for name in ("garments", "textures", "skins"):
        (folder / name).mkdir(parents=True)
    with np.load(asset_path("wardrobe.npz")) as file:
        base = 10.0 * file["template"]
    np.savez(folder / "base_hm08.npz", vertices=base.astype(np.float32))
    body = load_body("open")
    rows = []
    for number, (name, region) in enumerate(GARMENTS.items()):
        kind = "hair" if name.startswith("short0") else "clothes"
        np.savez(folder / "garments" / f"{kind}_{name}.npz", **_garment(body, *HEIGHTS[region]))
        _flat(folder / "textures" / f"{name}.png", (90 + 7 * number, 120, 200 - 8 * number))
        rows.append({"kind": kind, "name": name, "texture": f"{name}.png", "license": "CC0", "author": "nobody"})
    with (folder / "GARMENTS.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    for sex in ("male", "female"):
        for number in range(2):
            _flat(folder / "skins" / f"young_{sex}_{number}.jpg", (200, 160, 130))


def _garment(body, low, high):
    height = body.template[:, 1]
    faces = body.faces[((height > low) & (height < high))[body.faces].all(1)].numpy()
    used, corners = np.unique(faces, return_inverse=True)
    base = body.base_vertices.numpy()[used]
    arm = body.template[torch.from_numpy(used), 0].abs().numpy()
    offset = np.zeros((len(used), 3), np.float32)
    offset[:, 2] = 0.05 * np.sign(body.template[torch.from_numpy(used), 2].numpy())
    return {
        "ref": np.repeat(base[:, None], 3, 1).astype(np.int32),
        "w": np.tile(np.array([1, 0, 0], np.float32), (len(used), 1)),
        "offset": offset,
        "scale_ref": np.zeros((3, 2), np.int32),
        "scale_den": np.zeros(3, np.float32),
        "faces": corners.reshape(faces.shape).astype(np.int32),
        "uv": np.array([[0.1, 0.1], [0.9, 0.1], [0.1, 0.9]], np.float32),
        "uv_faces": np.tile(np.array([0, 1, 2], np.int32), (len(faces), 1)),
        "delete_verts": base[arm < 0.1].astype(np.int32),
    }


def _flat(path, color):
    rng = np.random.default_rng(0)
    pixels = np.array(color) + rng.integers(-20, 20, (32, 32, 3))
    PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def _write_backgrounds(folder):
    (folder / "crops").mkdir(parents=True)
    rng = np.random.default_rng(1)
    names = [f"place{number}" for number in range(4)]
    sky = np.linspace(1.2, 0.2, 16)[:, None, None] * np.ones((16, 32, 3))
    radiance = np.stack([sky * rng.uniform(0.5, 1.5, 3) for _ in names])
    radiance[:, 3, 10] = 60.0
    np.savez(folder / "lighting.npz", radiance=radiance.astype(np.float16), names=np.array(names))
    for name in names:
        for turn in range(2):
            smooth = PIL.Image.fromarray(rng.integers(40, 220, (8, 8, 3)).astype(np.uint8))
            smooth.resize((96, 96)).save(folder / "crops" / f"{name}_{turn}.jpg")


def _write_mocap(folder):
    folder.mkdir()
    rng = np.random.default_rng(2)
    clips, frames = 12, 10
    pose = rng.normal(0.0, 0.15, (clips * frames, 22, 3))
    pose[:, 0] = 0.0
    # Everybody walks a little to the left of the T-pose.
    place = np.zeros((clips, frames, 3))
    place[..., 0] = np.linspace(0.0, 0.3, frames)
    place[..., 1] = 0.9
    np.savez(
        folder / "cmu_poses.npz",
        pose=pose.astype(np.float16),
        trans=place.reshape(-1, 3).astype(np.float32),
        clip_start=np.arange(clips) * frames,
        clip_len=np.full(clips, frames),
        clip_id=np.array([f"clip{number}" for number in range(clips)]),
        clip_subject=np.array([f"Subject #{number}" for number in range(clips)]),
        clip_source=np.array(["nowhere"] * clips),
        clip_quality=np.array(["asf"] * clips),
        distinct=np.ones(clips * frames, bool),
    )
