"""What a description becomes in the control directory: ``.grami`` and file lists."""
