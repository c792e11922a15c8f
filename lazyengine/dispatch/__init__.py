"""What happens by itself: due times, and what a process that died left undone."""
