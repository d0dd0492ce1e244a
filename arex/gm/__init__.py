"""The grid manager: drives every job of one control directory through its states."""
