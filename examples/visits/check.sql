SELECT postal_code, visitors, days FROM busiest ORDER BY rowid;
