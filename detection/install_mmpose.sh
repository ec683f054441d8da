#!/usr/bin/env bash
# Installs mmpose 1.3.2 into the active Python environment, beside the torch that is already there.
#
#   detection/install_mmpose.sh             top-down models (RTMPose, HRNet, ...; not ViTPose): about a minute, no compiler
#   detection/install_mmpose.sh --with-ops  builds mmcv's operators too (a quarter of an hour and more on two cores)
#
# Give it an environment of its own: mmpose needs setuptools<81. See docs/mmpose.md.
set -euo pipefail

with_ops=false
case "${1:-}" in
    "") ;;
    --with-ops) with_ops=true ;;
    *) echo "unknown option: $1 (known: --with-ops)" >&2; exit 2 ;;
esac

python - <<'PY'
import importlib.util
import sys

missing = [name for name in ("torch", "numpy", "cv2") if importlib.util.find_spec(name) is None]
if missing or sys.prefix == sys.base_prefix:
    sys.exit(f"Activate a virtual environment with fitloop in it first; missing here: {', '.join(missing) or 'none'}.")
PY

torchvision=$(python - <<'PY'
import torch

major, minor = (int(part) for part in torch.__version__.split(".")[:2])
print(f"0.{minor + 15}")
PY
)

python -m pip install "setuptools<81" wheel
python -m pip install "mmengine==0.10.7" --no-deps
# --no-deps: their lists pull another torch, another OpenCV, and chumpy, which no current Python can import.
python -m pip install --no-deps "mmpose==1.3.2" "mmdet==3.2.0" xtcocotools "torchvision==${torchvision}.*"
python -m pip install addict yapf termcolor rich pyyaml matplotlib json_tricks munkres six pycocotools \
    terminaltables shapely tqdm cython "setuptools<81"

if $with_ops; then
    python -m pip install ninja psutil
    MMCV_WITH_OPS=1 MAX_JOBS="${MAX_JOBS:-2}" python -m pip install --no-deps --no-build-isolation --no-binary mmcv "mmcv==2.1.0"
else
    python -m pip install --no-deps "mmcv-lite==2.1.0"
    # mmpose imports mmcv's operators with all its heads, though top-down models call none of them.
    python - <<'PY'
import importlib.util
from pathlib import Path

folder = importlib.util.find_spec("mmcv").submodule_search_locations[0]
Path(folder, "_ext.py").write_text('''"""Stands in for mmcv's compiled operators, which top-down pose models do not call."""


def __getattr__(name):
    if name.startswith("__"):
        raise AttributeError(name)

    def missing(*args, **kwargs):
        raise RuntimeError(f"mmcv's operator {name} is not installed: run install_mmpose.sh --with-ops.")

    return missing
''')
PY
fi

echo "mmpose is ready: choose the detector mmpose with your config and checkpoint."
