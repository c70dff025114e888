"""Scripts that measure parts of cvbatch inside one process and print a line of JSON."""
