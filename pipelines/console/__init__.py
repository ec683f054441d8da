"""What every program shares: options, endings, progress, provenance."""
