"""A binary glTF 2.0 file in the making: arrays collected into one buffer, then header, JSON and data."""

import json
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np

_UNSIGNED_BYTE, _UNSIGNED_SHORT, _UNSIGNED_INT, _FLOAT = 5121, 5123, 5125, 5126
VERTICES, INDICES = 34962, 34963
"""What a view of the buffer is for: programs may send it to the GPU as it is."""
_KINDS = {np.uint8: _UNSIGNED_BYTE, np.uint16: _UNSIGNED_SHORT, np.uint32: _UNSIGNED_INT, np.float32: _FLOAT}


@dataclass
class GltfFile:
    """Collects arrays, each a view and accessor of its own."""

    accessors: list[dict[str, Any]] = field(default_factory=list)
    views: list[dict[str, Any]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)

    def add(
        self, values: np.ndarray, shape: str, target: int | None = None, normalized: bool = False, bounds: bool = False
    ) -> int:
        """Append an array of the glTF type ``shape``; return its accessor."""
        accessor = {
            **{"bufferView": self.attach(values.tobytes(), target), "type": shape, "count": len(values)},
            **{"componentType": _KINDS[values.dtype.type], "normalized": normalized},
        }
        if bounds:
            rows = values.reshape(len(values), -1)
            accessor |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self.accessors.append(accessor)
        return len(self.accessors) - 1

    def attach(self, content: bytes, target: int | None = None) -> int:
        """Append bytes, such as a picture; return their view."""
        use = {} if target is None else {"target": target}
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(content), **use})
        # Arrays begin at multiples of four bytes, as glTF demands.
        self.data += content + b"\0" * (-len(content) % 4)
        return len(self.views) - 1

    def encode(self, tree: dict[str, Any]) -> bytes:
        """The file: header, JSON padded by spaces, binary data."""
        tree = tree | {
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": len(self.data)}],
        }
        told = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode()
        told += b" " * (-len(told) % 4)
        chunks = struct.pack("<I4s", len(told), b"JSON") + told
        chunks += struct.pack("<I4s", len(self.data), b"BIN\0") + bytes(self.data)
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks
