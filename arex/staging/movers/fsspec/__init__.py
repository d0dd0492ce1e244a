"""File systems of fsspec that the site has named."""
