"""Where shipped files lie, and proof that they are whole."""

import hashlib
import json
from pathlib import Path

ASSETS = Path(__file__).parent / "assets"


def asset_path(name: str, folder: Path = ASSETS) -> Path:
    """Path of a shipped file.

    Args:
        name: File name inside the folder.
        folder: The ``assets`` folder of the package that owns it.

    Raises:
        FileNotFoundError: If it is missing; says how to get it.
    """
    path = folder / name
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing: it comes with fitloop, so install or clone the project again.")
    return path


def verify_assets(folder: Path) -> list[str]:
    """Compare every file of a folder's ``manifest.json`` with its SHA-256; return a sentence per difference."""
    entries = json.loads((folder / "manifest.json").read_text())["files"]
    problems = []
    for name, entry in entries.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing from {folder}.")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            problems.append(f"{name} in {folder} is not the file that the manifest describes.")
    return problems
