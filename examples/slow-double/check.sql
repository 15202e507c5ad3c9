SELECT count(*), sum(i), sum(doubled), sum(doubled <> 2 * i) FROM doubled;
