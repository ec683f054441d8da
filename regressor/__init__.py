"""Networks that guess bodies: encoders, HMR's head, losses, checkpoints, the regressor."""

from fitloop.regressor.checkpoints import Weights as Weights
from fitloop.regressor.checkpoints import load_weights as load_weights
from fitloop.regressor.checkpoints import save_weights as save_weights
from fitloop.regressor.hmr import HMR as HMR
from fitloop.regressor.hmr import HeadConfig as HeadConfig
from fitloop.regressor.hmr import HMROutput as HMROutput
from fitloop.regressor.losses import PRESETS as PRESETS
from fitloop.regressor.losses import LossConfig as LossConfig
from fitloop.regressor.models import HMRConfig as HMRConfig
from fitloop.regressor.models import build_hmr as build_hmr
from fitloop.regressor.regressor import Regressor as Regressor
from fitloop.regressor.regressor import load_regressor as load_regressor
from fitloop.regressor.regressor import mean_regressor as mean_regressor
