"""What every training shares: the loop, its state, and processes."""
