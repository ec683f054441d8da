"""Speed and memory of scoring: made-up people in a run's folder, every stage, under ``open-bench``.

python -m benchmarks evaluation --people 10000

Processor seconds count both cores and do not change with what else the machine does; the memory is the peak of the
process, programs included, and is measured for a tenth of the people too: it must not grow with their number.
"""

import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import tyro

from fitloop.body import Body, BodyParams, KeypointKinematics, convention_named, load_body
from fitloop.geometry import Camera, project, rotvec_to_rotmat

CONVENTION = "coco17"
DISTURBED = {"regressed_": 0.2, "": 0.1, "refined_": 0.05}
"""Radians by which the joints of each stage are off."""


@dataclass(frozen=True)
class Scoring:
    """Write made-up results and score them."""

    people: int = 10000
    """Each in a photo of its own, with three stages and the detector's landmarks."""

    def __call__(self) -> None:
        """Print processor seconds and memory."""
        for people in (self.people // 10, self.people):
            with tempfile.TemporaryDirectory() as folder:
                write_people(Path(folder), people)
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                evaluate_folder(Path(folder))
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"{people} people: {seconds:.1f} processor seconds, at most {after.ru_maxrss / 1024:.0f} MiB")


def evaluate_folder(folder: Path) -> None:
    """Run the command as users run it."""
    options = ["--truth", folder / "truth.npz", "--results", folder, "--json", folder / "scores.json"]
    command = [sys.executable, "-m", "fitloop.pipelines.evaluate", "--protocol", "open-bench", *map(str, options)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def write_people(folder: Path, people: int, seed: int = 0) -> None:
    """Write ``truth.npz`` and ``results/``.

    Args:
        folder: Of the made-up run.
        people: Each gets a photo.
        seed: Of poses and errors.
    """
    generator, body = torch.Generator().manual_seed(seed), load_body()
    truth = _bodies(people, generator)
    camera = Camera(torch.full((people,), 800.0), torch.tensor([320.0, 240.0]).expand(people, 2))
    names = tuple(str(name) for name in convention_named(CONVENTION).landmarks)
    points = KeypointKinematics(body, names)(truth)
    pixels = project(points, camera)
    shared = {"focal": camera.focal, "principal_point": camera.principal_point}
    boxes = torch.cat([pixels.amin(1), pixels.amax(1)], -1)
    ones = torch.ones(people, len(names), 1)
    rows = {
        **{prefix + key: value for prefix in DISTURBED for key, value in shared.items()},
        **{key: value for prefix, off in DISTURBED.items() for key, value in _stage(prefix, off, truth, generator)},
        **{"boxes": boxes, "keypoints": torch.cat([pixels, ones], -1), "landmarks": torch.cat([points, ones], -1)},
    }
    _write(folder, {key: value.numpy() for key, value in rows.items()}, body)
    exact = {key: value.numpy() for key, value in {**vars(truth), **shared, "boxes": boxes}.items()}
    photos = np.array([f"{row:06d}.jpg" for row in range(people)])
    grades = np.array(["easy", "loose clothes", "occluded", "truncated", "acrobatic"])[np.arange(people) % 5]
    words = {"photo": photos, "person": np.full(people, "0"), "grade": grades, "body": np.array(body.name)}
    np.savez(folder / "truth.npz", **exact, **words)


def _bodies(people: int, generator: torch.Generator) -> BodyParams:
    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(people, *shape, generator=generator)

    return BodyParams(
        rotvec_to_rotmat(draw(3)),
        rotvec_to_rotmat(0.3 * draw(23, 3)),
        draw(10),
        torch.tensor([0.0, 0.0, 5.0]) + 0.2 * draw(3),
    )


def _stage(prefix: str, off: float, truth: BodyParams, generator: torch.Generator) -> list[tuple[str, torch.Tensor]]:
    turns = rotvec_to_rotmat(off * torch.randn(len(truth.betas), 23, 3, generator=generator))
    changed = replace(truth, body_pose=truth.body_pose @ turns, betas=truth.betas + off)
    return [(prefix + key, value) for key, value in vars(changed).items()]


def _write(folder: Path, rows: dict[str, np.ndarray], body: Body) -> None:
    (folder / "results").mkdir()
    for row in range(len(rows["boxes"])):
        arrays = {key: value[row : row + 1] for key, value in rows.items()}
        told = {
            "status": np.array(["converged"]),
            "energy": np.zeros(1, np.float32),
            "image_size": np.array([480, 640]),
        }
        words = {"convention": np.array(CONVENTION), "body": np.array(body.name)}
        np.savez(folder / "results" / f"{row:06d}.jpg.npz", **arrays, **told, **words)  # pyright: ignore[reportArgumentType]


def main(arguments: list[str]) -> int:
    """Run what the command line names."""
    tyro.cli(Scoring, args=arguments)()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
