"""Rotations, cameras, crops and alignment. Knows nothing of people."""

from geometry.alignment import align_procrustes as align_procrustes
from geometry.cameras import Camera as Camera
from geometry.cameras import backproject as backproject
from geometry.cameras import camera_of as camera_of
from geometry.cameras import project as project
from geometry.crops import Crop as Crop
from geometry.crops import crop_of_box as crop_of_box
from geometry.records import TensorRecord as TensorRecord
from geometry.records import concatenate as concatenate
from geometry.records import where as where
from geometry.rotations import rotmat_to_rotvec as rotmat_to_rotvec
from geometry.rotations import rotvec_to_rotmat as rotvec_to_rotmat
