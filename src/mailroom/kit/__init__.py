"""Kit: tools that know nothing of Mailroom's domain."""
