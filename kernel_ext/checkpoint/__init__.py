"""What survives a kernel: the session's variables, saved cell by cell and loaded into another kernel."""
