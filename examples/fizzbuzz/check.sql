SELECT count(*), sum(says = 'fizz'), sum(says = 'buzz'), sum(says = 'fizzbuzz'),
       sum(CAST(says AS INTEGER)) FROM fizzbuzz;
SELECT i, says FROM fizzbuzz WHERE i BETWEEN 999990 AND 999996 ORDER BY rowid;
