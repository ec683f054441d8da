"""Data sets as their authors distribute them, converted to SPIN's format."""

from data.converters.coco import convert_coco as convert_coco
from data.converters.eft import convert_eft as convert_eft
from data.converters.human36m import convert_human36m as convert_human36m
from data.converters.lsp import convert_lsp as convert_lsp
from data.converters.lsp import convert_lspet as convert_lspet
from data.converters.lsp import convert_lspet_dev as convert_lspet_dev
from data.converters.mpii import convert_mpii as convert_mpii
from data.converters.openpose import add_openpose as add_openpose
from data.converters.three_dhp import convert_3dhp_test as convert_3dhp_test
from data.converters.three_dhp import convert_3dhp_train as convert_3dhp_train
from data.converters.three_dpw import convert_3dpw as convert_3dpw
