"""How fast and how well: workloads that return metrics, a committed baseline, a gate."""
