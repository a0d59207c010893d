"""Data as entered and as the market has them: portfolios, positions, prices, profiles."""
