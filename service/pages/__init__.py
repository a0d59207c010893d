"""Pages for people: what the API answers, drawn and written."""
