"""The runnable programs: the only place where stages meet."""
