"""What a worker's process runs in tests: no models, and every way to end."""

import os
import time


def obey(pipe, config) -> None:
    """Do what the name of each folder says."""
    del config
    while True:
        folder = pipe.recv()
        if folder.name == "crash":
            os._exit(1)
        if folder.name == "long":
            time.sleep(60.0)
        pipe.send("It is bad." if folder.name == "bad" else "")
