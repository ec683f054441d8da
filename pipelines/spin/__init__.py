"""SPIN: fitting in the loop of training (Kolotouros et al. 2019)."""
