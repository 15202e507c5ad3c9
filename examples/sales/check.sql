SELECT category, count(*), min(ds), max(ds), printf('%.2f', sum(y)), sum(items) FROM daily_sales GROUP BY 1;
SELECT category, count(*), min(ds), max(ds), min(yhat_lower < yhat AND yhat < yhat_upper) FROM outlook GROUP BY 1;
