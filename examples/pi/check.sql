SELECT count(*), printf('%.9f', 4 * sum(sum)) FROM sums;
