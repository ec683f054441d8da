"""Bodies: parameters, models, named keypoints, fast kinematics, and the records of the chain."""

from body.keypoints import Convention as Convention
from body.keypoints import convention_named as convention_named
from body.kinematics import KeypointKinematics as KeypointKinematics
from body.load import load_body as load_body
from body.model import Body as Body
from body.model import BodyModel as BodyModel
from body.params import JOINT_NAMES as JOINT_NAMES
from body.params import BodyParams as BodyParams
from body.params import upright as upright
from body.records import BodyEstimate as BodyEstimate
from body.records import BodyMesh as BodyMesh
from body.records import Detections as Detections
from body.records import Image as Image
from body.records import SurfaceEvidence as SurfaceEvidence
