"""What the tests of faults share: spoiled input, ill machines, and a job that is killed again and again."""
