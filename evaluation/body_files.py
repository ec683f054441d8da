"""The body files that results and truth name."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from fitloop.body import Body, load_body
from fitloop.evaluation.placing import GENDERS, Bodies
from fitloop.evaluation.protocols import Protocol


@dataclass(frozen=True, kw_only=True)
class BodyFiles:
    """Bodies that parameters are posed with."""

    body: str = "open"
    """`open`, or the path of your SMPL file: the (neutral) body of the results."""
    male_body: Path | None = None
    """SMPL file for the truth of men (3dpw, rich)."""
    female_body: Path | None = None
    """SMPL file for the truth of women (3dpw, rich)."""
    joint_regressor: Path | None = None
    """`J_regressor_h36m.npy` for Human3.6M's joints; named landmarks of the body stand in for it."""

    def load(self) -> Bodies:
        """Load them all.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If one is not what it should be.
        """
        neutral = load_body(self.body)
        named: dict[str, Body] = {neutral.name: neutral}
        if self.body != "open":
            named |= {"smpl": neutral, load_body("open").name: load_body("open")}
        for gender, path in zip(GENDERS, (self.male_body, self.female_body), strict=True):
            if path is not None:
                named[gender] = load_body(path)
        return Bodies(named, None if self.joint_regressor is None else _load_regressor(self.joint_regressor, neutral))


def body_files_used(protocol: Protocol) -> dict[str, tuple[bool, str]]:
    """Which options of `BodyFiles` a protocol uses, and what each needs."""
    gendered = "only truth in SPIN's format (3dpw, rich) tells men from women."
    return {
        "male_body": (protocol.truth == "spin", gendered),
        "female_body": (protocol.truth == "spin", gendered),
        "joint_regressor": (protocol.regressor == "h36m", "this protocol takes its joints from named landmarks."),
    }


def _load_regressor(path: Path, body: Body) -> torch.Tensor:
    if not path.is_file():
        raise FileNotFoundError(f"There is no joint regressor at {path}.")
    table = np.load(path, allow_pickle=False)
    if table.shape != (17, len(body.template)):
        raise ValueError(f"{path} has shape {table.shape}, expected (17, {len(body.template)}) for body {body.name}.")
    return torch.from_numpy(table.astype(np.float32))
