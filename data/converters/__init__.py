"""Data sets as their authors distribute them, converted to SPIN's format."""

from fitloop.data.converters.coco import convert_coco as convert_coco
from fitloop.data.converters.eft import convert_eft as convert_eft
from fitloop.data.converters.human36m import convert_human36m as convert_human36m
from fitloop.data.converters.lsp import convert_lsp as convert_lsp
from fitloop.data.converters.lsp import convert_lspet as convert_lspet
from fitloop.data.converters.lsp import convert_lspet_dev as convert_lspet_dev
from fitloop.data.converters.mpii import convert_mpii as convert_mpii
from fitloop.data.converters.openpose import add_openpose as add_openpose
from fitloop.data.converters.three_dhp import convert_3dhp_test as convert_3dhp_test
from fitloop.data.converters.three_dhp import convert_3dhp_train as convert_3dhp_train
from fitloop.data.converters.three_dpw import convert_3dpw as convert_3dpw
