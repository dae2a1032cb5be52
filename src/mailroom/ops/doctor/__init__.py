"""`mailroom doctor`: is everything as Mailroom needs it, and if not, what is to be done."""
