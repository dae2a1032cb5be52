"""Languages: pages, mails and the shell are written in English; this room translates them."""
