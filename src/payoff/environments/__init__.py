"""What a model's packages are installed in: resolved, built once, shared by the versions that agree."""
