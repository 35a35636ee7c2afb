"""What every command needs: flags and errors, budgets by name, saved policies and runs by flag, tables, what lies in a directory."""
