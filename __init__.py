"""Posed human bodies from photos, by regression and optimisation together."""
