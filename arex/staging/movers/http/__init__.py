"""HTTP and WebDAV."""
