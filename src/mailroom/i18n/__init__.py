"""Languages: what is said at the edges (pages, mails, the shell) is English in the source, and translated here."""
