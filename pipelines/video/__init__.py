"""Clips: people followed from frame to frame, and one motion for each of them."""
