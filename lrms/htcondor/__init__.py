"""HTCondor, with shared session directories or with its own file transfer."""
