SELECT count(*), count(delay), sum(delay), sum(distance), count(DISTINCT destination) FROM flights;
SELECT origin, flights, printf('%.3f', mean), printf('%.3f', sd), printf('%.2f', p95) FROM delays ORDER BY flights DESC LIMIT 5;
SELECT count(delay), sum(delay), printf('%.3f', sum(doubled)) FROM imputed;
