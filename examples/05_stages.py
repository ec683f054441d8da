"""Regressed against fitted against refined: what each stage changes, and why a refined body was taken or refused."""

from pathlib import Path

import torch

import fitloop
from fitloop.body import JOINT_NAMES, KeypointKinematics
from fitloop.geometry import project

people = fitloop.predict(Path(__file__).parent.parent / "samples" / "hall.jpg")
joints = KeypointKinematics(people.body, JOINT_NAMES)
before: torch.Tensor | None = None
for name, estimate in people.stages():
    placed = joints(estimate.params)
    pixels = project(placed, estimate.camera)
    moved = 0.0 if before is None else 1000.0 * float((placed - before).norm(dim=-1).mean())
    print(f"{name}: pelvis at pixel {pixels[0, 0].round().tolist()}, joints moved by {moved:.0f} mm")
    before = placed
assert people.refined is not None
print("the refined body was", "taken" if bool(people.refined.accepted[0]) else "refused")
