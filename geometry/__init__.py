"""Rotations, cameras, crops and alignment. Knows nothing of people."""

from fitloop.geometry.alignment import align_procrustes as align_procrustes
from fitloop.geometry.cameras import Camera as Camera
from fitloop.geometry.cameras import backproject as backproject
from fitloop.geometry.cameras import camera_of as camera_of
from fitloop.geometry.cameras import project as project
from fitloop.geometry.crops import Crop as Crop
from fitloop.geometry.crops import crop_of_box as crop_of_box
from fitloop.geometry.records import TensorRecord as TensorRecord
from fitloop.geometry.records import concatenate as concatenate
from fitloop.geometry.records import where as where
from fitloop.geometry.rotations import rotmat_to_rotvec as rotmat_to_rotvec
from fitloop.geometry.rotations import rotvec_to_rotmat as rotvec_to_rotmat
