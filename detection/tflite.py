"""Networks of the mediapipe wheel, run by LiteRT without mediapipe's graphs."""

import contextlib
import itertools
import os
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float

from fitloop.detection.fetching import network_file

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
        interpreter = self._ready()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pixels[None].astype(np.float32))
        interpreter.invoke()
        # The count is drawn in one step, so that no run of another thread is lost.
        self.runs = next(self._count) + 1
        return [interpreter.get_tensor(output["index"])[0] for output in interpreter.get_output_details()]

    def _ready(self) -> Any:
        if not hasattr(self._of_thread, "interpreter"):
            # File descriptor 2 belongs to the process: one thread at a time may silence it.
            with _STARTING:
                self._of_thread.interpreter = self._start()
        return self._of_thread.interpreter

    def _start(self) -> Any:
        file = network_file(self._path)
        with quiet_start():
            from ai_edge_litert.interpreter import Interpreter

            interpreter = Interpreter(str(file), num_threads=self._threads)
            interpreter.allocate_tensors()
        return interpreter
