#!/usr/bin/env python3
"""Who knows whom: a small service with paged lists, as many services have them.

    server.py [PORT]      listens on 127.0.0.1; 0 takes a free port, and says which

GET /people/17/connections?page=1 gives {"person": 17, "connections": [{"id": 3, "name": "..",
"since": "2019-04-11"}, ...], "next": "/people/17/connections?page=2"}. Every answer takes
20 ms; each tenth is "503, come again" when it is asked for first.
"""

import asyncio
import datetime
import json
import sys

PEOPLE, PAGE = 200, 10
NAMES = ["Ada", "Blaise", "Carl", "Dorothy", "Emmy", "Fermat", "Grace", "Hypatia"]
asked = set()


def know_each_other(a, b):
    low, high = sorted((a, b))
    return a != b and (low * 7 + high * 13) % 9 == 0


def connections(person):
    for other in range(1, PEOPLE + 1):
        if know_each_other(person, other):
            day = datetime.date(2015, 1, 1) + datetime.timedelta(days=person * other % 3000)
            yield {"id": other, "name": f"{NAMES[other % len(NAMES)]} {other}", "since": day.isoformat()}


def answer(target):
    path, _, query = target.partition("?")
    parts = path.split("/")
    if len(parts) != 4 or parts[1] != "people" or not 1 <= int(parts[2]) <= PEOPLE:
        return 404, {"error": "nobody of this number"}
    person, page = int(parts[2]), int(query.partition("=")[2] or 1)
    first_time = target not in asked
    asked.add(target)
    if first_time and person % 10 == 0:
        return 503, {"error": "come again"}
    known = list(connections(person))
    more = f"{path}?page={page + 1}" if page * PAGE < len(known) else None
    return 200, {"person": person, "connections": known[(page - 1) * PAGE:page * PAGE], "next": more}


async def talk(reader, writer):
    while line := await reader.readline():
        while (await reader.readline()).strip():
            pass
        await asyncio.sleep(0.02)
        status, body = answer(line.decode().split()[1])
        text = json.dumps(body).encode()
        writer.write(b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                     % (status, len(text)) + text)
        await writer.drain()
    writer.close()


async def main(port):
    server = await asyncio.start_server(talk, "127.0.0.1", port)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()

try:
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8123))
except KeyboardInterrupt:
    pass
