"""What a credential proves: one module per kind, none of which knows of HTTP. `filters.authentication` asks them."""
