"""Pictures and labels: reading, composing, augmenting."""
