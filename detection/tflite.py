"""Networks of the mediapipe wheel, run by LiteRT without mediapipe's graphs."""

import contextlib
import itertools
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Float

from fitloop.detection.fetching import network_file
from fitloop.detection.late_output import split

_STARTING = threading.Lock()


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Keep what native libraries write to file descriptor 2 from the user; show it again if an error leaves the block.

    Python's own `sys.stderr` writes to the same descriptor: keep the block to the one native call that chatters.
    """
    kept = os.dup(2)
    with tempfile.TemporaryFile() as chatter:
        os.dup2(chatter.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            chatter.seek(0)
            os.write(2, chatter.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


class Network:
    """One network with a single image input, batch size one, made ready at the first call in each thread.

    Threads do not share interpreters, so that several photos may be looked at in parallel.
    """

    def __init__(self, path: str, threads: int) -> None:
        self._path = path
        self._threads = threads
        self._of_thread = threading.local()
        self._count = itertools.count()
        self.runs = 0
        """How often the network was run."""

    def __call__(self, pixels: Float[np.ndarray, "size size 3"]) -> list[Float[np.ndarray, "..."]]:
        """Run on one square crop, in the value range the network wants; outputs without their batch axis, in order."""
        found = self._ready()[0]([pixels.astype(np.float32, copy=False)])
        # The count is drawn in one step, so that no run of another thread is lost.
        self.runs = next(self._count) + 1
        return found

    def _ready(self) -> list["Part"]:
        """What runs the network in this thread."""
        if not hasattr(self._of_thread, "parts"):
            # File descriptor 2 belongs to the process: one thread at a time may silence it.
            with _STARTING:
                self._of_thread.parts = [Part(content, self._threads) for content in self._contents]
        return self._of_thread.parts

    @cached_property
    def _contents(self) -> tuple[bytes, ...]:
        return (network_file(self._path).read_bytes(),)


class LateNetwork(Network):
    """A network of which one output is only made when somebody asks for it."""

    def __init__(self, path: str, threads: int, late: int) -> None:
        """Name the network.

        Args:
            path: In the cache (`fitloop.detection.fetching`).
            threads: Of each run.
            late: Position of the output among the network's outputs.
        """
        super().__init__(path, threads)
        self._late = late

    def see(
        self, pixels: Float[np.ndarray, "size size 3"]
    ) -> tuple[list[Float[np.ndarray, "..."]], Callable[[], Float[np.ndarray, "..."]]]:
        """Run on one square crop; the other outputs in order, and what makes the late one, in whichever thread."""
        found = self(pixels)
        count = len(found) - len(self._ready()[1].inputs)
        between = found[count:]
        return found[:count], lambda: self._ready()[1](between)[0]

    @cached_property
    def _contents(self) -> tuple[bytes, ...]:
        return split(network_file(self._path).read_bytes(), self._late)


class Part:
    """A network, or a part of one, ready to be run by one thread."""

    def __init__(self, content: bytes, threads: int) -> None:
        """Make it ready.

        Args:
            content: Of a .tflite file.
            threads: Of each run.
        """
        with quiet_start():
            from ai_edge_litert.interpreter import Interpreter

            self._interpreter: Any = Interpreter(model_content=content, num_threads=threads)
            self._interpreter.allocate_tensors()
        # Asking for them takes as long as copying what they name.
        self.inputs = [place["index"] for place in self._interpreter.get_input_details()]
        self._outputs = [place["index"] for place in self._interpreter.get_output_details()]

    def __call__(self, inputs: list[Float[np.ndarray, "..."]]) -> list[Float[np.ndarray, "..."]]:
        """Outputs for inputs, all without their batch axis."""
        for number, values in zip(self.inputs, inputs, strict=True):
            self._interpreter.set_tensor(number, values[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(number)[0] for number in self._outputs]
