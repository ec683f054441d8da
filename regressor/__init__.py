"""Networks that guess bodies: encoders, HMR's head, losses, checkpoints, the regressor."""

from regressor.checkpoints import Weights as Weights
from regressor.checkpoints import load_weights as load_weights
from regressor.checkpoints import save_weights as save_weights
from regressor.hmr import HMR as HMR
from regressor.hmr import HeadConfig as HeadConfig
from regressor.hmr import HMROutput as HMROutput
from regressor.losses import PRESETS as PRESETS
from regressor.losses import LossConfig as LossConfig
from regressor.models import HMRConfig as HMRConfig
from regressor.models import build_hmr as build_hmr
from regressor.regressor import Regressor as Regressor
from regressor.regressor import load_regressor as load_regressor
from regressor.regressor import mean_regressor as mean_regressor
