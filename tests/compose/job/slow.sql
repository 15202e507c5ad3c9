SELECT count(*) AS flights, sum(delay) AS delay FROM flights;
