"""The page that compares regression with fitting and refinement, person by person."""
