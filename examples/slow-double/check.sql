SELECT count(*), count(DISTINCT doubled), min(doubled), max(doubled), sum(doubled) FROM doubled;
