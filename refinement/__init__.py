"""Dense refinement: from keypoints to pixels (docs/refinement.md)."""

from fitloop.refinement.gate import GateConfig as GateConfig
from fitloop.refinement.gate import Outcome as Outcome
from fitloop.refinement.gate import Reason as Reason
from fitloop.refinement.inputs import draw_bodies as draw_bodies
from fitloop.refinement.look import Look as Look
from fitloop.refinement.look import Photo as Photo
from fitloop.refinement.look import gather_evidence as gather_evidence
from fitloop.refinement.look import look_at as look_at
from fitloop.refinement.look import predict_displacement as predict_displacement
from fitloop.refinement.network import Displacement as Displacement
from fitloop.refinement.network import DisplacementNet as DisplacementNet
from fitloop.refinement.refiner import RefineConfig as RefineConfig
from fitloop.refinement.refiner import Refiner as Refiner
from fitloop.refinement.subjects import Refined as Refined
from fitloop.refinement.weights import load_network as load_network
