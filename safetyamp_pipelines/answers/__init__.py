"""What operators ask and decide, from the ledger and the stored snapshots. How it is shown is in `cli_operate.py`."""
