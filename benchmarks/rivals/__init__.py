"""Scripts that call the rivals' public interfaces; run by the Python of their own environment, never imported here."""
