"""How jobs come in. Each way is a package here; they meet the service in the control directory alone."""
