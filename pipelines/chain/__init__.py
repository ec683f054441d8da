"""The chain of one photo: who finds, guesses, fits and refines its people, and what they found."""
