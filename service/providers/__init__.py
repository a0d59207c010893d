"""Sources of prices and profiles, one module each."""
