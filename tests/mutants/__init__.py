"""Breaks the sources in small ways, one at a time, and looks whether the tests notice: ``nox -s mutants``.

A law that no test guards is a law that the next change may break without a word. Five areas are those in which a wrong
line gives wrong numbers and no error: losses, the choice of negatives, passes (one step's gradient out of several),
checkpoints, and fingerprints (which decide what is taken from a cache).
"""
