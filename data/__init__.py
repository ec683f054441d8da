"""Photos, annotations, data sets, mocap and synthetic people: everything that comes from disk."""
