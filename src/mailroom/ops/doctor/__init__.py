"""`mailroom doctor`: what is wrong with settings and servers, and what to do about it."""
