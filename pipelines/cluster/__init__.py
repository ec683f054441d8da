"""The main job over addresses and by several processes: chunks, workers, quarantine."""
