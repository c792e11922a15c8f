"""The pure core: what a workflow is, which states there are, and what follows from one event.

Standard library only; no clock, no input or output, no randomness, no globals.  Time is an argument.  A decision is a
value: the shell (`lazyengine.engine`) saves it, or throws it away and nothing has happened.
"""
