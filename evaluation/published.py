"""Results that others published, as rows of reference under the same protocol."""

import json
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class PublishedRow:
    """What a paper or project states of itself or of another; not measured here."""

    protocol: str
    method: str
    metrics: dict[str, float]
    """By metric name, in the stored unit: millimetres, shares in [0, 1]."""
    source: str


def published_rows(protocol: str) -> list[PublishedRow]:
    """Published results under a protocol, as each source states them; empty where there are none."""
    tree = json.loads(files("fitloop.evaluation").joinpath("assets/published.json").read_text(encoding="utf-8"))
    return [PublishedRow(**row) for row in tree["rows"] if row["protocol"] == protocol]
