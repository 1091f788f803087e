"""What runs inside a model's own process, in its environment's interpreter, where payoff is not installed.

Python 3.9 and later, the standard library and NumPy only; imports among its own files only. In there the package is
called `payoff_guest` (see start.py).
"""
