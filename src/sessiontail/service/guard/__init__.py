"""What stands before the API: who may ask, under which name, and with which token."""
