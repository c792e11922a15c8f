"""A passive, persistent workflow engine behind a REST API."""
