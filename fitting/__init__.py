"""SMPLify by batched Levenberg-Marquardt: bodies from keypoints."""

from fitloop.fitting.config import AFTER_REGRESSION as AFTER_REGRESSION
from fitloop.fitting.config import FitConfig as FitConfig
from fitloop.fitting.config import StageConfig as StageConfig
from fitloop.fitting.prior import PosePrior as PosePrior
from fitloop.fitting.prior import load_pose_prior as load_pose_prior
from fitloop.fitting.sequence import SequenceConfig as SequenceConfig
from fitloop.fitting.sequence import fit_sequence as fit_sequence
from fitloop.fitting.smplify import Fit as Fit
from fitloop.fitting.smplify import fit as fit
from fitloop.fitting.solver import SolverConfig as SolverConfig
from fitloop.fitting.solver import Status as Status
