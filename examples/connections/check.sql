SELECT count(*), min(a), max(b), min(named), max(named), min(since), max(since) FROM connections;
SELECT count(*), min(substr(reason, instr(reason, 'status'), 10)) FROM connections_rejects;
