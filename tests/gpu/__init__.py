"""What can be checked on a GPU only."""
