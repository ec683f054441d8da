"""Bodies: parameters, models, named keypoints, fast kinematics, and the records of the chain."""

from fitloop.body.keypoints import Convention as Convention
from fitloop.body.keypoints import convention_named as convention_named
from fitloop.body.kinematics import KeypointKinematics as KeypointKinematics
from fitloop.body.load import load_body as load_body
from fitloop.body.model import Body as Body
from fitloop.body.model import BodyModel as BodyModel
from fitloop.body.motion import Motion as Motion
from fitloop.body.params import JOINT_NAMES as JOINT_NAMES
from fitloop.body.params import BodyParams as BodyParams
from fitloop.body.params import upright as upright
from fitloop.body.records import BodyEstimate as BodyEstimate
from fitloop.body.records import BodyMesh as BodyMesh
from fitloop.body.records import Detections as Detections
from fitloop.body.records import Image as Image
from fitloop.body.records import SurfaceEvidence as SurfaceEvidence
