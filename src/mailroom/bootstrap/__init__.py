"""The composition root: one file for each kind of process, which wires the rooms. Tests wire differently.

Each process imports only the file of its own kind: a worker does not load Quart, the web loads no worker, and the
shell loads neither of them until a command needs one.
"""
