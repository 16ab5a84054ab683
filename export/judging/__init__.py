"""What export/judge.py measures: features, classifiers, originality, obedience, seams, and music that is known to be worse."""
