"""SMPLify by batched Levenberg-Marquardt: bodies from keypoints."""

from fitting.config import AFTER_REGRESSION as AFTER_REGRESSION
from fitting.config import FitConfig as FitConfig
from fitting.config import StageConfig as StageConfig
from fitting.prior import PosePrior as PosePrior
from fitting.prior import load_pose_prior as load_pose_prior
from fitting.sequence import SequenceConfig as SequenceConfig
from fitting.sequence import fit_sequence as fit_sequence
from fitting.smplify import Fit as Fit
from fitting.smplify import fit as fit
from fitting.solver import SolverConfig as SolverConfig
from fitting.solver import Status as Status
