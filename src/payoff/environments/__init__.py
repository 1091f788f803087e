"""The packages that a model was built with, installed for it: resolved, built once, shared by the versions that agree."""
