"""An energy term of your own: feet that stand on a floor, minimised by the project's Levenberg-Marquardt solver.

A problem gives energy, gradient and Gauss-Newton matrix of each row; the solver knows nothing of bodies. Here the
unknowns are small turns of hips and knees, and a move of the body; what the fit found is held on to.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

import fitloop
from fitloop.body import KeypointKinematics
from fitloop.body.params import JOINT_NAMES
from fitloop.fitting.solver import Quadratic, minimize
from fitloop.geometry import rotvec_to_rotmat

LEGS = [JOINT_NAMES.index(f"{side}_{joint}") for side in ("left", "right") for joint in ("hip", "knee")]
FEET = ("left_ankle", "right_ankle")


@dataclass(frozen=True)
class OnTheFloor:
    """Ankles on the plane y = height of the camera's frame; state (rows, 15): four turns, then a move in metres."""

    body: fitloop.Body
    start: fitloop.BodyParams
    height: Tensor

    def params(self, state: Tensor) -> fitloop.BodyParams:
        """The body that a state stands for."""
        pose = self.start.body_pose.clone()
        turns = rotvec_to_rotmat(state[:, :12].view(-1, 4, 3))
        for number, joint in enumerate(LEGS):
            pose[:, joint - 1] = self.start.body_pose[:, joint - 1] @ turns[:, number]
        return replace(self.start, body_pose=pose, transl=self.start.transl + state[:, 12:])

    def evaluate(self, state: Tensor) -> Quadratic:
        """Residuals r: 20 x the ankles' distance from the floor, 1 x the turns and 5 x the move. Energy |r|^2 / 2."""
        seen = KeypointKinematics(self.body, FEET).linearize(self.params(state))
        above = 20.0 * (seen.points[..., 1] - self.height[:, None])
        # Turns are right perturbations of the joints: exact at 0, close enough for the small ones of this problem.
        by_turns = seen.by_rotation[:, :, 1, LEGS].flatten(2)
        by_move = torch.tensor([0.0, 1.0, 0.0]).expand(*by_turns.shape[:2], 3)
        jacobian = 20.0 * torch.cat([by_turns, by_move], -1)
        hold = torch.tensor([1.0] * 12 + [5.0] * 3)
        residuals = torch.cat([above, hold * state], -1)
        lines = torch.cat([jacobian, torch.diag(hold).expand(len(state), -1, -1)], 1)
        gradient = (lines.mT @ residuals[..., None])[..., 0]
        return Quadratic(0.5 * residuals.square().sum(-1), gradient, lines.mT @ lines)

    def move(self, state: Tensor, step: Tensor) -> Tensor:
        """Plain addition."""
        return state + step

    def __getitem__(self, rows: Tensor) -> "OnTheFloor":
        """Some of the rows."""
        return replace(self, start=self.start[rows], height=self.height[rows])


people = fitloop.predict(Path(__file__).parent.parent / "samples" / "street.jpg")
ankles = KeypointKinematics(people.body, FEET)(people.params)[..., 1]
# The floor under each person: where the lower ankle is (y points down).
problem = OnTheFloor(people.body, people.params, ankles.amax(-1))
found = minimize(problem, torch.zeros(len(people), 15))
after = KeypointKinematics(people.body, FEET)(problem.params(found.state))[..., 1]
for row in range(len(people)):
    apart = [1000.0 * float((y[row].amax() - y[row].amin()).abs()) for y in (ankles, after)]
    print(f"person {row}: ankles {apart[0]:.0f} mm apart in height, then {apart[1]:.0f}, {int(found.steps[row])} steps")
