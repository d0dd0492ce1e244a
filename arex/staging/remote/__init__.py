"""Files and directories at any URL, for commands of users, by the movers that jobs use."""
