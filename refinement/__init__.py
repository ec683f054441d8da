"""Dense refinement: from keypoints to pixels (docs/refinement.md)."""

from refinement.gate import GateConfig as GateConfig
from refinement.gate import Outcome as Outcome
from refinement.gate import Reason as Reason
from refinement.gate import judge as judge
from refinement.gate import overlap as overlap
from refinement.inputs import draw_bodies as draw_bodies
from refinement.network import Displacement as Displacement
from refinement.network import DisplacementNet as DisplacementNet
from refinement.refine import Look as Look
from refinement.refine import Photo as Photo
from refinement.refine import gather_evidence as gather_evidence
from refinement.refine import look_at as look_at
from refinement.refine import personal_texture as personal_texture
from refinement.refine import predict_displacement as predict_displacement
from refinement.weights import load_network as load_network
