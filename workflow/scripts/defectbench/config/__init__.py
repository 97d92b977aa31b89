"""The settings: checked against the schema, then against each other, and made into a plan."""
