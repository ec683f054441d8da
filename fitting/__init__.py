"""SMPLify by batched Levenberg-Marquardt: bodies from keypoints."""

from fitting.prior import PosePrior as PosePrior
from fitting.prior import load_pose_prior as load_pose_prior
