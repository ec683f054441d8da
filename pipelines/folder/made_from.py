"""What a photo's results were made from, and whether that has changed since."""

import hashlib
import json
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fitloop.body.assets import ASSETS as BODY_ASSETS
from fitloop.body.files import whole_file
from fitloop.detection import BadKeypoints, KeypointFile
from fitloop.pipelines.console.options import config_to_tree
from fitloop.pipelines.folder.config import RunConfig
from fitloop.refinement.weights import ASSETS as REFINEMENT_ASSETS
from fitloop.regressor.regressor import weights_path

KEY = "made_from"
"""Name of the array of the results file."""
HASHES = "photo_hashes.json"
"""File of `PhotoHashes` beside ``run.json``."""
UNKNOWN = "unknown"
"""What a file of an earlier version says."""
FREE = ("images", "out", "outputs", "threads", "device", "batch_size", "keypoints", "boxes", "workers", "scheduler")
"""Options that results do not follow from: what lies at their paths is compared, not the paths."""


@dataclass(frozen=True)
class Sources:
    """What the photos of one run are made from; files of weights are read once."""

    config: RunConfig
    stages: Any
    """Whose detector reads the keypoint file, so that it is parsed once."""
    _lists: dict[Path, KeypointFile] = field(default_factory=dict)

    @cached_property
    def photo_hashes(self) -> "PhotoHashes":
        """What photos held when an earlier run looked at them."""
        return PhotoHashes.of(self.config.out / HASHES)

    def record(self, photo: str) -> dict[str, Any]:
        """What the results of a photo are made from: plain values for `json`."""
        path = self.config.images / photo
        return {"photo": {**_stat(path), "sha256": _hash(path)}, **self.listed(photo), **self.run}

    @cached_property
    def run(self) -> dict[str, Any]:
        """Weights and options, which all photos share."""
        config = self.config
        options = {key: value for key, value in config_to_tree(config).items() if key not in FREE}
        named = [config.detector_weights, config.detector_config, config.texture]
        files = [Path(name) for name in named if name is not None]
        files.append(BODY_ASSETS / "open_body.npz" if config.body == "open" else Path(config.body))
        if config.regressor != "mean":
            files.append(weights_path(config.regressor))
        if config.refines:
            files += sorted(REFINEMENT_ASSETS.glob("*.safetensors"))
        return {"options": options, "weights": {file.name: _hash(file) for file in files if file.is_file()}}

    @cached_property
    def stamp(self) -> str:
        """SHA-256 of everything but the photos: options, weights, keypoint and box files."""
        given = {name: _content(path) for name in ("keypoints", "boxes") if (path := getattr(self.config, name))}
        return hashlib.sha256(json.dumps([self.run, given], sort_keys=True).encode()).hexdigest()

    def listed(self, photo: str) -> dict[str, Any]:
        """What keypoint and box files say of a photo, by content."""
        return {
            name: None if path is None else self._said(path, photo)
            for name, path in (("keypoints", self.config.keypoints), ("boxes", self.config.boxes))
        }

    def _said(self, path: Path, photo: str) -> str:
        if path not in self._lists:
            self._lists[path] = self.stages.detector if path == self.config.keypoints else KeypointFile(path)
        reader = self._lists[path]
        try:
            return content_hash(reader.entry(photo))
        except BadKeypoints as error:
            return f"unreadable: {error}"

    def changes(self, photo: str, results: Path) -> tuple[str, ...]:
        """What the results of a photo were made from that is not so any more; `UNKNOWN` where they do not say.

        A photo is only read where its size or time are none that were seen before, so that a resumed run does not
        read thousands.
        """
        before = read_record(results)
        path = self.config.images / photo
        if before is None:
            # Without a record only the time tells.
            files = [file for file in (path, self.config.keypoints, self.config.boxes) if file is not None]
            newer = any(file.stat().st_mtime > results.stat().st_mtime for file in files if file.is_file())
            return ("photo or keypoints are newer",) if newer else (UNKNOWN,)
        now = {**self.listed(photo), **self.run}
        changed = [name for name in now if before.get(name) != now[name]]
        photo_before = before.get("photo", {})
        same = all(photo_before.get(name) == value for name, value in _stat(path).items())
        if not same and photo_before.get("sha256") != self.photo_hashes.look_up(photo, path):
            changed.insert(0, "photo")
        return tuple(changed)


@dataclass
class PhotoHashes:
    """Hashes of photos whose size or time are not those of their results, as after copying a folder."""

    path: Path
    known: dict[str, Any]
    """By photo: bytes, time and sha256."""
    changed: bool = False

    @classmethod
    def of(cls, path: Path) -> "PhotoHashes":
        """Those of a file; none where it is missing or broken, for they can be found again."""
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, OSError, RecursionError):
            known = {}
        return cls(path, known if isinstance(known, dict) else {})

    def look_up(self, photo: str, path: Path) -> str:
        """SHA-256 of a photo; read only where its size or time are not the ones it was last seen with."""
        seen, now = self.known.get(photo), _stat(path)
        if isinstance(seen, dict) and {**seen, **now} == seen and isinstance(seen.get("sha256"), str):
            return seen["sha256"]
        found = _hash(path)
        self.known[photo] = {**now, "sha256": found}
        self.changed = True
        return found

    def save(self) -> None:
        """Write the file whole, if there is something new."""
        if self.changed:
            with whole_file(self.path) as file:
                file.write_text(json.dumps(self.known, ensure_ascii=False), encoding="utf-8")
            self.changed = False


def read_record(results: Path) -> dict[str, Any] | None:
    """What a results file says it was made from; None if it is of an earlier version."""
    try:
        with np.load(results, allow_pickle=False) as found:
            return json.loads(str(found[KEY])) if KEY in found else None
    except (ValueError, EOFError, OSError, KeyError):
        return {}


def content_hash(value: Any) -> str:
    """SHA-256 of nested records, lists and arrays by what they hold."""
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if is_dataclass(value):
        for part in fields(value):
            digest.update(part.name.encode())
            _feed(digest, getattr(value, part.name))
    elif isinstance(value, tuple | list):
        digest.update(f"[{len(value)}".encode())
        for part in value:
            _feed(digest, part)
    elif isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode() + np.ascontiguousarray(value).tobytes())
    else:
        digest.update(repr(value).encode("utf-8", "backslashreplace"))


def _stat(path: Path) -> dict[str, int]:
    status = path.stat()
    return {"bytes": status.st_size, "time": status.st_mtime_ns}


def _content(path: Path) -> str:
    """Of a file its hash; of a folder, which may hold one file per photo, that of names, sizes and times."""
    if path.is_file():
        return _hash(path)
    told = [(file.relative_to(path).as_posix(), _stat(file)) for file in sorted(path.rglob("*")) if file.is_file()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
