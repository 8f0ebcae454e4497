"""The rows of the API: what each path takes, gives and is described by."""
