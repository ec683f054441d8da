"""Metrics, protocols and reports. Knows nothing of how results were made."""

from fitloop.evaluation.joints import mpjpe as mpjpe
from fitloop.evaluation.joints import pa_mpjpe as pa_mpjpe
from fitloop.evaluation.joints import pve as pve
