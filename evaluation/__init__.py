"""Metrics, protocols and reports. Knows nothing of how results were made."""

from evaluation.joints import mpjpe as mpjpe
from evaluation.joints import pa_mpjpe as pa_mpjpe
from evaluation.joints import pve as pve
